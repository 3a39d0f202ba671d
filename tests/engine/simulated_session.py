"""ONNX Runtime's session on a simulated GPU: the real one computes on the CPU, in the memory that the GPU's stands for.

Its calls have the real ones' parameters. Faults of the real one that it can show: it falls back to the CPU, its weights
find no memory, and its kernels round the rows of small batches in another way.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from pathlib import Path

from appliance.engine.ort_session import CPU, CUDA
from appliance.onnx_runtime import ort
from tests.engine.simulated_cuda import SimulatedCuda

_RealSession = ort.InferenceSession


@dataclass
class SimulatedRuntime:
    """Opens sessions on one GPU.

    Attributes:
        cuda: the GPU. A session's weights take some of its memory.
        kernels_bytes: what a session takes beside its weights.
        falls_back: sessions compute on the CPU, as the real ones do where a library of CUDA is absent.
        failure: what opening a session fails with; empty: it does not fail.
        tile: batches of fewer rows have logits of their own.
        options: of each session that was opened, what the CUDA provider was told.
        runs: of each run, the shape of its token ids, and how many rows it was told that a slot may hold.
    """

    cuda: SimulatedCuda
    kernels_bytes: int = 0
    falls_back: bool = False
    failure: str = ""
    tile: int = 1
    options: list[dict[str, str]] = field(default_factory=list)
    runs: list[tuple[tuple[int, ...], int]] = field(default_factory=list)

    def open(self, graph, options, *, providers):
        """As `InferenceSession`."""
        (name, told), last = providers
        assert (name, last) == (CUDA, CPU)
        self.options.append(told)
        if self.failure:
            raise RuntimeError(self.failure)
        if not self.falls_back:
            weights = sum(path.stat().st_size for path in Path(graph).parent.glob(f"{Path(graph).name}*"))
            self.cuda.total -= weights + self.kernels_bytes
        return _Session(self, _RealSession(graph, options, providers=[CPU]))


class _Session:
    def __init__(self, runtime, session):
        self._runtime, self._session = runtime, session

    def __getattr__(self, name):
        return getattr(self._session, name)

    def get_providers(self):
        return [CPU] if self._runtime.falls_back else [CUDA, CPU]

    def io_binding(self):
        return _Binding(self._session.io_binding())

    def run_with_iobinding(self, binding):
        self._runtime.cuda.run()
        self._runtime.runs.append((binding.shapes["input_ids"], int(binding.longest.numpy())))
        self._session.run_with_iobinding(binding.real)
        if binding.shapes["input_ids"][0] < self._runtime.tile:
            ctypes.c_float.from_address(binding.logits).value += 1.0


class _Binding:
    """The GPU's memory is bound as main memory."""

    def __init__(self, real):
        self.real = real
        self.shapes = {}
        self.longest = None
        self.logits = 0

    def bind_ortvalue_input(self, name, value):
        assert name == "total_sequence_length"
        self.longest = value
        self.real.bind_ortvalue_input(name, value)

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        assert (device_type, device_id) == ("cuda", 0)
        self.shapes[name] = tuple(shape)
        self.real.bind_input(name, "cpu", 0, element_type, shape, buffer_ptr)

    def bind_output(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        assert (device_type, device_id) == ("cuda", 0)
        self.shapes[name] = tuple(shape)
        if name == "logits":
            self.logits = buffer_ptr
        self.real.bind_output(name, "cpu", 0, element_type, shape, buffer_ptr)
