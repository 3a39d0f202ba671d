"""A CUDA stream that can capture launches as a CUDA graph and replay them: a thin wrapper."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from cuda.bindings import runtime as cuda

from appliance.engine.cuda_memory import ask, forget_error

# Restrict only this thread during a capture: another thread may allocate memory.
_MODE = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal


class CudaStream:
    """The stream of a CudaMemory. See `LaunchStream`."""

    def __init__(self, address: int) -> None:
        """Wrap the stream at `CudaMemory.stream`."""
        self.address = address
        self._stream = cuda.cudaStream_t(address)

    def wait(self) -> None:
        """See `LaunchStream`."""
        ask(cuda.cudaStreamSynchronize(self._stream))

    def capture(self, launch: Callable[[], None]) -> Callable[[], None]:
        """See `LaunchStream`."""
        ask(cuda.cudaStreamBeginCapture(self._stream, _MODE))
        try:
            launch()
        except BaseException:
            cuda.cudaStreamEndCapture(self._stream)
            forget_error()
            raise
        graph = ask(cuda.cudaStreamEndCapture(self._stream))
        try:
            executable = ask(cuda.cudaGraphInstantiate(graph, 0))
        finally:
            cuda.cudaGraphDestroy(graph)

        def replay() -> None:
            ask(cuda.cudaGraphLaunch(executable, self._stream))

        # When the process ends, the driver destroys the graph.
        weakref.finalize(replay, cuda.cudaGraphExecDestroy, executable).atexit = False
        return replay
