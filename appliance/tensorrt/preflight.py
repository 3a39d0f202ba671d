"""Whether a box is large enough to build a plan and to run it, told before the work starts. It frees nothing."""

from __future__ import annotations

from pathlib import Path

import psutil

from appliance.artefact.manifest import Manifest
from appliance.disk import Need, check_space
from appliance.errors import NoSpaceError
from appliance.gpu import Gpu
from appliance.memory import available_bytes
from appliance.sizes import size
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
            f"{gpu.name} has {size(gpu.memory_bytes)} of memory, the plan needs {size(needed)}: "
            f"{size(weights)} of weights, "
            f"{slots} slots of the cache x {profile.capacity_tokens} rows = {size(slots * slot_bytes)}, "
            f"{size(WORKSPACE_BYTES)} of workspace",
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
            f"building needs {size(_BUILD_TIMES * weights)} of main memory, {_BUILD_TIMES} x {size(weights)} of "
            f"weights; {size(available)} are available, swap space included",
            hint="end other programs, or add swap space for the build; "
            f"weights of {size(available // _BUILD_TIMES)} could be built now",
        )


def check_disk(folder: Path, manifest: Manifest) -> None:
    """Refuse when the disk of `folder`, which may not exist yet, has no room for another plan.

    Raises:
        NoSpaceError: see `check_space`.
    """
    check_space([Need("build the plan", folder, weights_bytes(manifest))], "remove old plans: appliance engine prune")


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
    return f"only weights of less than {size(room)} fit: export a smaller model, or with a preset of fewer bits"
