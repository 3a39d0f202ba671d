"""A GPU's memory, through CUDA's runtime API: a thin wrapper that implements `Memory`.

All operations and the graph run on one stream, so they run in the order of the calls. `fetch` waits for the stream;
`store` and `copy` do not.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from cuda.bindings import runtime as cuda
from numpy.typing import DTypeLike, NDArray

from appliance.engine.memory import Pieces, Region
from appliance.errors import EngineError, NoSpaceError
from appliance.gpu import is_lasting, lost

_NO_MEMORY = int(cuda.cudaError_t.cudaErrorMemoryAllocation)
_TO_DEVICE = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
_TO_HOST = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
_WITHIN = cuda.cudaMemcpyKind.cudaMemcpyDeviceToDevice


class CudaMemory:
    """The memory of one GPU. See `Memory`.

    Attributes:
        stream: the address of its stream.
    """

    device_type = "cuda"

    def __init__(self, ordinal: int = 0) -> None:
        """Create the process's context on the GPU with CUDA's device number `ordinal`.

        Raises:
            EngineError: CUDA fails.
        """
        self._ordinal = ordinal
        self._regions: set[int] = set()
        # When the process ends, the driver frees the memory.
        weakref.finalize(self, _free_all, cuda.cudaFree, self._regions).atexit = False
        self._enter()
        self._stream = ask(cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking))
        self.stream = int(self._stream)

    def free_bytes(self) -> int:
        """Free memory of the GPU in bytes, over all processes.

        Raises:
            EngineError: CUDA fails.
        """
        self._enter()
        return int(ask(cuda.cudaMemGetInfo()))

    def reserve(self, size_bytes: int, *, sparse: bool = False) -> Region:  # noqa: ARG002 - signature of `Memory`
        """See `Memory`. All memory is allocated at once and zeroed: a GPU does not allocate pages on first write."""
        self._enter()
        error, address = cuda.cudaMalloc(size_bytes)
        if int(error) == _NO_MEMORY:
            forget_error()
            raise NoSpaceError(f"the GPU cannot allocate {size_bytes} bytes")
        _check(error)
        self._regions.add(int(address))
        ask(cuda.cudaMemsetAsync(address, 0, size_bytes, self._stream))
        return Region(int(address), size_bytes)

    def free(self, region: Region) -> None:
        """See `Memory`."""
        self._regions.discard(region.address)
        ask(cuda.cudaFree(region.address))

    def store(self, address: int, values: NDArray[Any]) -> None:
        """See `Memory`. The caller may change the array afterwards: CUDA copies pageable memory before returning."""
        self._enter()
        ask(cuda.cudaMemcpyAsync(address, values.ctypes.data, values.nbytes, _TO_DEVICE, self._stream))

    def fetch(self, region: Region, offset: int, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """See `Memory`."""
        self._enter()
        values: NDArray[Any] = np.empty(shape, dtype)
        source = region.address + offset
        ask(cuda.cudaMemcpyAsync(values.ctypes.data, source, values.nbytes, _TO_HOST, self._stream))
        ask(cuda.cudaStreamSynchronize(self._stream))
        return values

    def copy(self, source: Pieces, target: int) -> None:
        """See `Memory`."""
        if not source.size_bytes:
            return
        self._enter()
        pitch = source.pitch_bytes
        ask(
            cuda.cudaMemcpy2DAsync(
                target, pitch, source.address, pitch, source.size_bytes, source.count, _WITHIN, self._stream
            )
        )

    def clear(self, pieces: Pieces) -> None:
        """See `Memory`."""
        if not pieces.size_bytes:
            return
        self._enter()
        ask(
            cuda.cudaMemset2DAsync(pieces.address, pieces.pitch_bytes, 0, pieces.size_bytes, pieces.count, self._stream)
        )

    def give_back(self, region: Region, pieces: Pieces) -> None:
        """See `Memory`. Does nothing: a GPU cannot free part of a region."""

    def _enter(self) -> None:
        """Select the GPU for this thread: CUDA keeps the device per thread, and the engine's thread differs."""
        ask(cuda.cudaSetDevice(self._ordinal))


def _free_all(free: Callable[[int], Any], addresses: set[int]) -> None:
    for address in addresses:
        free(address)


def ask(answer: tuple[Any, ...]) -> Any:
    """Check the result code of a CUDA call and return the first value after it; None if there is no value.

    Raises:
        DeviceLostError: the code means that every later call fails too.
        EngineError: the code is any other error.
    """
    _check(answer[0])
    return answer[1] if len(answer) > 1 else None


def _check(error: Any) -> None:
    code = int(error)
    if code == 0:
        return
    what = f"{error.name} (CUDA failure {code})"
    if is_lasting(code):
        raise lost(what)
    forget_error()
    raise EngineError(f"the GPU failed in a step: {what}")


def forget_error() -> None:
    """Clear the thread's last error; otherwise the next kernel launch of any library would report it as its own."""
    cuda.cudaGetLastError()
