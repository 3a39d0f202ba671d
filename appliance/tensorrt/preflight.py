"""Whether a box is large enough to build a plan and to run it, told before the work starts. It frees nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

from appliance.artefact.manifest import Manifest
from appliance.errors import NoSpaceError
from appliance.gpu import Gpu
from appliance.memory import available_bytes
from appliance.tensorrt.compile import WORKSPACE_BYTES
from appliance.tensorrt.plan_key import USUAL_SLOTS, Profile, weights_bytes

# Builds have been seen to take three to four times the weights: issue 30 of TensorRT Edge-LLM.
_BUILD_TIMES = 4


def check_gpu_memory(gpu: Gpu, manifest: Manifest, profile: Profile) -> None:
    """Refuse what the GPU cannot hold: the plan's weights, the cache as it is usually served, and the workspace.

    The cache is that of `Profile.cache_slots`.

    Raises:
        NoSpaceError: it shows the arithmetic, and what would fit.
    """
    weights = weights_bytes(manifest)
    slot_bytes = profile.capacity_tokens * manifest.shape.cache_bytes_per_token
    slots = profile.cache_slots
    needed = weights + slots * slot_bytes + WORKSPACE_BYTES
    if gpu.memory_bytes < needed:
        raise NoSpaceError(
            f"{gpu.name} has {_mb(gpu.memory_bytes)} of memory, the plan needs {_mb(needed)}: "
            f"{_mb(weights)} of weights, "
            f"{slots} slots of the cache x {profile.capacity_tokens} rows = {_mb(slots * slot_bytes)}, "
            f"{_mb(WORKSPACE_BYTES)} of workspace",
            hint=_what_fits(gpu, manifest, profile, weights),
        )


def check_main_memory(manifest: Manifest) -> None:
    """Refuse to build where main memory and swap space have less than four times the weights left.

    Raises:
        NoSpaceError: it shows the arithmetic, and what could be built.
    """
    weights, available = weights_bytes(manifest), available_bytes() + psutil.swap_memory().free
    if available < _BUILD_TIMES * weights:
        raise NoSpaceError(
            f"building needs {_mb(_BUILD_TIMES * weights)} of main memory, {_BUILD_TIMES} x {_mb(weights)} of weights; "
            f"{_mb(available)} are available, swap space included",
            hint="end other programs, or add swap space for the build; "
            f"weights of {_mb(available // _BUILD_TIMES)} could be built now",
        )


def check_disk(folder: Path, manifest: Manifest) -> None:
    """Refuse when the file system of `folder`, which may not exist yet, has no room for another plan.

    Raises:
        NoSpaceError: it says what is needed and what there is.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free, needed = shutil.disk_usage(existing).free, weights_bytes(manifest)
    if free < needed:
        raise NoSpaceError(
            f"the plan needs about {_mb(needed)} in {folder}, {_mb(free)} are free",
            hint="free some space, or remove old plans: appliance engine prune",
        )


def _what_fits(gpu: Gpu, manifest: Manifest, profile: Profile, weights: int) -> str:
    rows = (gpu.memory_bytes - weights - WORKSPACE_BYTES) // manifest.shape.cache_bytes_per_token
    command = f"appliance engine build {manifest.model} --target {manifest.target} --preset {manifest.preset}"
    found = rows // profile.capacity_tokens
    # The cache has two slots for each of the usual ones.
    slots, context = found if found >= 2 * USUAL_SLOTS else found // 2, rows // 2 - profile.chunk_tokens
    if slots >= 1:
        return f"this fits: {command} --slots {slots}"
    if context >= profile.chunk_tokens:
        return f"this fits: {command} --slots 1 --context {context}"
    room = max(0, gpu.memory_bytes - WORKSPACE_BYTES)
    return f"only weights of less than {_mb(room)} fit: export a smaller model, or use a preset with fewer bits"


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB"
