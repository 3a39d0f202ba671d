"""CUDA's runtime API over main memory, with the real one's names, parameters, types and error numbers.

A stream keeps its work until it is waited for, so that code which reads too early reads too early here as well.
"""

# ruff: noqa: N802, N803, N815 - the names are CUDA's

import ctypes
from dataclasses import dataclass, field

from cuda.bindings import runtime as real

OK = real.cudaError_t.cudaSuccess


@dataclass
class SimulatedCuda:
    """One GPU with `total` bytes. `error` is what every call answers once it is set; `largest` limits an allocation."""

    total: int = 1 << 30
    error: real.cudaError_t = OK
    largest: int = 1 << 62
    blocks: dict = field(default_factory=dict)
    queue: list = field(default_factory=list)
    last: real.cudaError_t = OK
    cudaError_t = real.cudaError_t
    cudaMemcpyKind = real.cudaMemcpyKind
    cudaStreamNonBlocking = real.cudaStreamNonBlocking

    @property
    def used(self):
        return sum(len(block) for block in self.blocks.values())

    def cudaSetDevice(self, device):
        return (self.error if device == 0 else real.cudaError_t.cudaErrorInvalidDevice,)

    def cudaStreamCreateWithFlags(self, flags):
        assert flags == real.cudaStreamNonBlocking
        return self.error, real.cudaStream_t(7)

    def cudaMemGetInfo(self):
        return self.error, self.total - self.used, self.total

    def cudaMalloc(self, size):
        if self.used + size > self.total or size > self.largest:
            self.last = real.cudaError_t.cudaErrorMemoryAllocation
            return self.last, None
        block = ctypes.create_string_buffer(b"\xa5" * size, size)
        self.blocks[ctypes.addressof(block)] = block
        return self.error, ctypes.addressof(block)

    def cudaGetLastError(self):
        last, self.last = self.last, OK
        return (last,)

    def cudaFree(self, devPtr):
        self.run()
        del self.blocks[devPtr]
        return (self.error,)

    def cudaMemsetAsync(self, devPtr, value, count, stream):
        return self._queue(stream, lambda: ctypes.memset(devPtr, value, count))

    def cudaMemset2DAsync(self, devPtr, pitch, value, width, height, stream):
        assert 0 < width <= pitch
        self._check(devPtr, pitch * (height - 1) + width)

        def clear():
            for row in range(height):
                ctypes.memset(devPtr + row * pitch, value, width)

        return self._queue(stream, clear)

    def cudaMemcpyAsync(self, dst, src, count, kind, stream):
        self._check(dst if kind == real.cudaMemcpyKind.cudaMemcpyHostToDevice else src, count)
        if kind == real.cudaMemcpyKind.cudaMemcpyHostToDevice:
            # Pageable memory is copied aside before the call returns.
            content = ctypes.string_at(src, count)
            return self._queue(stream, lambda: ctypes.memmove(dst, content, count))
        assert kind == real.cudaMemcpyKind.cudaMemcpyDeviceToHost
        return self._queue(stream, lambda: ctypes.memmove(dst, src, count))

    def cudaMemcpy2DAsync(self, dst, dpitch, src, spitch, width, height, kind, stream):
        assert kind == real.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        assert 0 < width <= min(dpitch, spitch)
        for address, pitch in ((dst, dpitch), (src, spitch)):
            self._check(address, pitch * (height - 1) + width)

        def copy():
            for row in range(height):
                ctypes.memmove(dst + row * dpitch, src + row * spitch, width)

        return self._queue(stream, copy)

    def cudaStreamSynchronize(self, stream):
        assert int(stream) == 7
        self.run()
        return (self.error,)

    def _queue(self, stream, work):
        assert int(stream) == 7
        if self.error == OK:
            self.queue.append(work)
        return (self.error,)

    def run(self):
        """Do what the stream has waiting."""
        for work in self.queue:
            work()
        self.queue.clear()

    def _check(self, address, count):
        assert any(
            start <= address and address + count <= start + len(block) for start, block in self.blocks.items()
        ), "beyond what was allocated"
