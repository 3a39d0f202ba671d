"""TensorRT's calls, carried out in main memory by ONNX Runtime.

It lets trt_executor.py run without a GPU: addresses, views, shapes and captured launches. A "plan" is a few words about
an ONNX graph. Enumerations are the real package's own, and a test holds each call against the real one's parameters.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import math
import re
import weakref

import numpy as np
import pytest
import tensorrt_rtx_bindings
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from appliance.artefact.manifest import TENSORRT
from appliance.engine.memory import HostMemory
from appliance.engine.trt_executor import TrtExecutor
from appliance.errors import NoSpaceError
from appliance.onnx_runtime import ort
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.lowering import tensorrt
from export.model_shape import model_shape
from export.presets import REFERENCE
from tests.checkpoints import make_tiny_checkpoint

TOTAL_BYTES = 2 << 30
TOKENS = 300


def parameters(function):
    """Names of the parameters of each form of a compiled function, as its documentation has them."""
    lines = re.findall(rf"^(?:\d+\. )?{function.__name__}\(([^\n]*)\)(?: -> .*)?$", function.__doc__, re.MULTILINE)
    forms = []
    for line in lines:
        if line != "*args, **kwargs":
            names = [re.split(r"[:=]", part)[0].split()[-1] for part in _parts(line)]
            forms.append([name for name in names if name != "self"])
    return forms


def _parts(line):
    """Split at commas outside of brackets."""
    return [part.strip() for part in re.split(r",(?![^\[\]()<>]*[\])>])", line) if part.strip()]


class FiniteMemory(HostMemory):
    """Main memory of a size, whose every use must lie within what was reserved.

    Attributes:
        free: bytes that are left.
        largest_piece: no reservation may be larger.
        error: raised by each use of the memory, once it is set.
    """

    def __init__(self):
        super().__init__()
        self.free = self.largest_piece = TOTAL_BYTES
        self.error = None
        self.regions = []

    def reserve(self, size_bytes, *, sparse=False):
        if size_bytes > min(self.free, self.largest_piece):
            raise NoSpaceError(f"the GPU does not give {size_bytes} bytes")
        self.free -= size_bytes
        region = super().reserve(size_bytes, sparse=sparse)
        self.regions.append(region)
        return region

    def free_bytes(self):
        return self.free

    def store(self, address, values):
        self._touch(address, values.nbytes)
        super().store(address, values)

    def fetch(self, region, offset, dtype, shape):
        self._touch(region.address + offset, math.prod(shape) * np.dtype(dtype).itemsize)
        return super().fetch(region, offset, dtype, shape).copy()

    def copy(self, source, target):
        for address in (source.address, target):
            self._touch(address, source.pitch_bytes * (source.count - 1) + source.size_bytes)
        super().copy(source, target)

    def clear(self, pieces):
        self._touch(pieces.address, pieces.pitch_bytes * (pieces.count - 1) + pieces.size_bytes)
        super().clear(pieces)

    def array(self, address, dtype, shape):
        """The memory itself."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        self._touch(address, size)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address)).view(dtype).reshape(shape)

    def _touch(self, address, size):
        if self.error:
            raise self.error
        assert any(
            region.address <= address and address + size <= region.address + region.size_bytes
            for region in self.regions
        ), "beyond what was reserved"


class HostStream:
    """In the place of CudaStream: what is launched while it records is kept for later."""

    address = 7

    def __init__(self):
        self.recorded = None
        self.replays = 0
        self.refusal = None

    def wait(self):
        assert self.recorded is None

    def capture(self, launch):
        if self.refusal:
            raise self.refusal
        self.recorded = []
        launch()
        (work,), self.recorded = self.recorded, None

        def replay():
            self.replays += 1
            work()

        return replay


def open_executor(content, shape, slots, memory=None, kind=TrtExecutor):
    """Return an executor of a plan's bytes; its `host` is the HostTrt below it."""
    memory, stream = memory or FiniteMemory(), HostStream()
    host = HostTrt(memory, stream)
    executor = kind(host, memory, stream, content, shape, slots)
    executor.host = host
    return executor


class HostTrt:
    """In the place of `tensorrt_rtx_bindings`, over main memory.

    Attributes:
        fails: whether launches do.
    """

    def __init__(self, memory, stream):
        self.memory = memory
        self.stream = stream
        self.fails = False

    def __getattr__(self, name):
        if name == "Runtime":
            return lambda logger: HostRuntime(self, logger)
        return getattr(tensorrt_rtx_bindings, name)


class HostRuntime:
    """In the place of `Runtime`."""

    def __init__(self, host, logger):
        self._host = host
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine):
        try:
            words = json.loads(serialized_engine)
        except ValueError:
            self._logger.log(tensorrt_rtx_bindings.ILogger.ERROR, "no plan at all")
            self._logger.log(tensorrt_rtx_bindings.ILogger.ERROR, "and a consequence of that")
            return None
        return HostEngine(self._host, **words)


def tiny_graph(folder, architecture_name):
    """Build a tiny model's graph for TensorRT in 32-bit floats; return its path and shape."""
    source = make_tiny_checkpoint(folder / "checkpoint", architecture_name)
    checkpoint = open_checkpoint({path.name: path for path in source.iterdir()})
    architecture = describe(checkpoint.config)
    shape = model_shape(architecture, TOKENS, REFERENCE.activations)
    (folder / "graph").mkdir()
    preset = dataclasses.replace(REFERENCE, runtime=TENSORRT)
    tensorrt.build(checkpoint, architecture, preset, TOKENS, folder / "graph", lambda _done, _total: None)
    return folder / "graph" / "model.onnx", shape


def plan(graph, *, capacity, chunk=(1, 64), batch=4, working=1 << 20):
    """The bytes of a plan."""
    words = {"graph": str(graph), "capacity": capacity, "chunk": chunk, "batch": batch, "working": working}
    return json.dumps(words).encode()


def _session(graph):
    """Open a graph; a test is skipped, saying why, where this ONNX Runtime does not know its opset."""
    try:
        return ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    except Fail as error:
        if "is under development" in str(error):
            pytest.skip(f"ONNX Runtime {ort.__version__} does not know the graph's opset: {str(error)[-60:]}")
        raise


class HostEngine:
    """In the place of `ICudaEngine`."""

    num_optimization_profiles = 2

    def __init__(self, host, graph, capacity, chunk, batch, working):
        self.host = host
        self.session = _session(graph)
        self.ranges = [((1, chunk[0]), (1, chunk[1]), (1, chunk[1])), ((1, 1), (batch, 1), (batch, 1))]
        self._working = working
        self.tensors = {
            value.name: (value.type, [capacity if size == "capacity" else size for size in value.shape])
            for value in (*self.session.get_inputs(), *self.session.get_outputs())
        }

    @property
    def num_io_tensors(self):
        return len(self.tensors)

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_dtype(self, name):
        types = {"tensor(int64)": "INT64", "tensor(float)": "FLOAT", "tensor(float16)": "HALF"}
        return getattr(tensorrt_rtx_bindings.DataType, types[self.tensors[name][0]])

    def get_tensor_shape(self, name):
        return tensorrt_rtx_bindings.Dims([-1 if isinstance(size, str) else size for size in self.tensors[name][1]])

    def get_tensor_profile_shape(self, name, profile_index):
        assert name == "input_ids"
        return [tensorrt_rtx_bindings.Dims(shape) for shape in self.ranges[profile_index]]

    def get_device_memory_size_for_profile_v2(self, profile_index):
        return self._working >> profile_index

    def create_runtime_config(self):
        return HostConfig()

    def create_execution_context(self, runtime_config):
        strategies = tensorrt_rtx_bindings.DynamicShapesKernelSpecializationStrategy
        assert runtime_config.dynamic_shapes_kernel_specialization_strategy == strategies.EAGER
        return HostContext(self)


class HostConfig:
    """In the place of `IRuntimeConfig`."""

    dynamic_shapes_kernel_specialization_strategy = None

    def set_execution_context_allocation_strategy(self, strategy):
        assert strategy == tensorrt_rtx_bindings.ExecutionContextAllocationStrategy.USER_MANAGED


def _of(reference):
    context = reference()
    assert context is not None, "a captured launch of a context that is gone"
    return context


class HostContext:
    """In the place of `IExecutionContext`."""

    def __init__(self, engine):
        self._engine = engine
        self._addresses = {}
        self._shapes = {}
        self._profile = None
        self._flushed = None
        self._memory = 0

    def set_device_memory(self, memory, size):
        assert memory % 256 == 0
        self._engine.host.memory.array(memory, np.uint8, (size,))
        self._memory = size

    def set_optimization_profile_async(self, profile_index, stream_handle):
        assert stream_handle == HostStream.address
        self._profile = profile_index
        return True

    def set_tensor_address(self, name, memory):
        assert memory % 256 == 0
        self._addresses[name] = memory
        return name in self._engine.tensors

    def set_input_shape(self, name, shape):
        least, _, most = self._engine.ranges[self._profile]
        self._shapes[name] = shape
        return name != "input_ids" or all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True))

    def execute_async_v3(self, stream_handle):
        assert stream_handle == HostStream.address
        assert self._memory >= self._engine.get_device_memory_size_for_profile_v2(self._profile)
        if self._engine.host.fails:
            return False
        stream = self._engine.host.stream
        state = (dict(self._shapes), dict(self._addresses))
        if stream.recorded is None:
            self._flushed = state
            self._run(*state)
        else:
            assert state == self._flushed, "a launch is captured before the same was launched once"
            # What is recorded does not keep the context, whose memory it uses.
            context = weakref.ref(self)
            stream.recorded.append(lambda: _of(context)._run(*state))
        return True

    def _run(self, shapes, addresses):
        sizes = {"wanted": shapes["logits_rows"][0], "batch": shapes["input_ids"][0]}
        binding = self._engine.session.io_binding()
        inputs = {value.name for value in self._engine.session.get_inputs()}
        arrays = {}
        for name, (kind, form) in self._engine.tensors.items():
            shape = tuple(shapes.get(name, [sizes.get(size, size) for size in form]))
            dtype = {"tensor(int64)": np.int64, "tensor(float)": np.float32, "tensor(float16)": np.float16}[kind]
            arrays[name] = self._engine.host.memory.array(addresses[name], dtype, shape)
        for name, array in arrays.items():
            bind = binding.bind_ortvalue_input if name in inputs else binding.bind_ortvalue_output
            bind(name, ort.OrtValue.ortvalue_from_numpy(array))
        self._engine.session.run_with_iobinding(binding)
