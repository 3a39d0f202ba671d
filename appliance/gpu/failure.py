"""What CUDA's error numbers mean for a process that goes on. It calls nothing."""

from __future__ import annotations

from appliance.errors import DeviceLostError

# After these a CUDA context works as before: a wrong argument, no memory, no kernel for this GPU, too many resources
# asked of one launch, a launch that cannot be captured (900 to 908). Source: cudaError_t in the CUDA Runtime API's
# manual, which says of the others that the process must be ended, or which mean that there is no device.
_PASSING = frozenset({1, 2, 9, 98, 209, 222, 400, 600, 701, 801, *range(900, 909)})


def is_lasting(error: int) -> bool:
    """Whether every later call of this process will fail with the same error (a number of cudaError_t)."""
    return error not in _PASSING


def lost(what: str) -> DeviceLostError:
    """The error for a GPU that failed for good, as far as this process is concerned."""
    return DeviceLostError(
        f"the GPU failed: {what}",
        hint="the box restarts the engine; the kernel log (dmesg, lines with NVRM) has details",
    )
