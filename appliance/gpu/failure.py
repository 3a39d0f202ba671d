"""Tells which CUDA errors are permanent for the process. This module calls nothing."""

from __future__ import annotations

from appliance.errors import DeviceLostError

# After these errors, a CUDA context still works: invalid argument, no memory, no kernel for this GPU, too many
# resources for one launch, a launch that cannot be captured (900 to 908). After all other errors, the process must be
# ended, or there is no device. Source: cudaError_t in the manual of the CUDA Runtime API.
_PASSING = frozenset({1, 2, 9, 98, 209, 222, 400, 600, 701, 801, *range(900, 909)})


def is_lasting(error: int) -> bool:
    """Whether every later call of this process will fail with the same error (a number of cudaError_t)."""
    return error not in _PASSING


def lost(what: str) -> DeviceLostError:
    """The error for a GPU that this process can no longer use."""
    return DeviceLostError(
        f"the GPU failed: {what}",
        hint="the box restarts the engine; the kernel log (dmesg, lines with NVRM) has details",
    )
