"""Checks that a box has enough memory and disk to build and run a plan, before the work starts. It frees nothing."""

from __future__ import annotations

from pathlib import Path

import psutil

from appliance.artefact.manifest import Manifest
from appliance.capacity import BUILD_TIMES, Fit, GpuMemory, cache_slots
from appliance.disk import Need, check_space
from appliance.errors import NoSpaceError
from appliance.gpu import Gpu
from appliance.memory import available_bytes
from appliance.sizes import size
from appliance.tensorrt.plan_key import Profile, weights_bytes


def check_gpu_memory(gpu: Gpu, manifest: Manifest, profile: Profile, slots: int, plan_bytes: int) -> None:
    """Check that the GPU's memory can hold the plan and its cache, by the engine's own arithmetic.

    Args:
        gpu: the GPU that will run the plan.
        manifest: the artefact's manifest.
        profile: the plan's profile.
        slots: number of slots of the cache that the plan is served with.
        plan_bytes: size of the plan; before the build, size of the weights.

    Raises:
        NoSpaceError: the memory is too small; the message shows the arithmetic, and what would fit.
    """
    fit = Fit(
        GpuMemory.whole(gpu.memory_bytes, shared=gpu.integrated),
        plan_bytes,
        manifest.shape.cache_bytes_per_token,
        profile.cache(slots),
    )
    fit.check(f"the plan does not fit {gpu.name}", _what_fits(fit, manifest, profile))


def check_main_memory(manifest: Manifest) -> None:
    """Check that free main memory and swap space are at least four times the weights, which a build needs.

    Raises:
        NoSpaceError: they are not; the message shows the arithmetic, and what could be built.
    """
    weights, available, times = weights_bytes(manifest), available_bytes() + psutil.swap_memory().free, max(BUILD_TIMES)
    if available < times * weights:
        raise NoSpaceError(
            f"the build needs {size(times * weights)} of main memory ({times} x {size(weights)} of "
            f"weights), but {size(available)} are available, including swap space",
            hint="end other programs, or add swap space for the build; "
            f"weights of {size(available // times)} could be built now",
        )


def check_disk(folder: Path, manifest: Manifest) -> None:
    """Check that the disk of `folder`, which need not exist yet, has space for another plan.

    Raises:
        NoSpaceError: see `check_space`.
    """
    check_space([Need("build the plan", folder, weights_bytes(manifest))], "remove old plans: appliance tensorrt prune")


def _what_fits(fit: Fit, manifest: Manifest, profile: Profile) -> str:
    command = f"appliance tensorrt build {manifest.model} --target {manifest.target} --preset {manifest.preset}"
    slots = fit.most_slots // cache_slots(1)
    if slots:
        return f"this fits: {command} --slots {slots}"
    context = fit.with_cache(slots=cache_slots(1)).most_context_tokens
    if context >= profile.chunk_tokens:
        return f"this fits: {command} --slots 1 --context {context}"
    left = max(0, fit.memory.most_cache_bytes(0))
    return f"only weights of less than {size(left)} fit: export a smaller model, or with a preset of fewer bits"
