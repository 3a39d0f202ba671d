"""What is asked of TensorRT and CUDA, carried out in main memory, and refused as the real ones refuse it."""

import dataclasses
import gc
import weakref

import numpy as np
import pytest
import tensorrt_rtx_bindings as real_trt
from cuda.bindings import runtime

from appliance.capacity import RUNTIME_BYTES, Cache, Fit, GpuMemory
from appliance.engine import cuda_memory, cuda_stream
from appliance.engine.cuda_stream import CudaStream
from appliance.engine.trt_executor import TrtExecutor
from appliance.engine.trt_open import load_executor
from appliance.errors import DeviceLostError, EngineError, NoSpaceError
from appliance.gpu import lost
from tests.engine import device_on_host
from tests.engine.device_on_host import (
    FiniteMemory,
    HostStream,
    HostTrt,
    open_executor,
    parameters,
    plan,
    tiny_graph,
)
from tests.refusals import refused

CAPACITY = 64
SLOTS = 3


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return tiny_graph(tmp_path_factory.mktemp("qwen2"), "qwen2")


def executor_of(graph, content=None, memory=None, **limits):
    path, shape = graph
    return open_executor(content or plan(path, capacity=CAPACITY, **limits), shape, SLOTS, memory)


def integers(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("double", "real"),
    [
        (device_on_host.HostRuntime, real_trt.Runtime),
        (device_on_host.HostEngine, real_trt.ICudaEngine),
        (device_on_host.HostConfig, real_trt.IRuntimeConfig),
        (device_on_host.HostContext, real_trt.IExecutionContext),
    ],
)
def test_all_that_is_asked_of_tensorrt_exists_there_with_these_parameters(double, real):
    names = [name for name in vars(double) if not name.startswith("_")]
    assert names
    for name in names:
        wanted = vars(double)[name]
        if not callable(wanted):
            assert isinstance(vars(real)[name], property), name
            continue
        code = wanted.__code__
        assert list(code.co_varnames[1 : code.co_argcount]) in parameters(getattr(real, name)), name


def test_the_limits_are_read_from_the_plan(graph):
    limits = executor_of(graph, chunk=(2, 32), batch=3).limits
    assert (limits.capacity, limits.least_chunk, limits.most_chunk, limits.batch) == (CAPACITY, 2, 32, 3)


def test_a_captured_launch_gives_what_the_first_one_gave(graph):
    executor = executor_of(graph)
    given = []
    for _ in range(3):
        executor.prefill(0, 0, integers(5, 6, 7), 2)
        given.append(executor.decode(integers(1, 2), integers(3, 0)).rows([0, 1]).copy())
    assert executor.host.stream.replays == 2
    assert np.array_equal(given[0], given[1])
    assert np.array_equal(given[0], given[2])


def test_a_launch_that_cannot_be_captured_is_launched_each_time(graph, caplog):
    executor = executor_of(graph)
    executor.host.stream.refusal = EngineError("operation not permitted while the stream is capturing")
    given = [executor.decode(integers(1, 2), integers(0, 0)).rows([0, 1]).copy() for _ in range(2)]
    assert "launches of 2 slots are not captured: operation not permitted" in caplog.text
    assert executor.host.stream.replays == 0
    assert np.array_equal(*given)


def test_a_device_that_is_lost_while_a_launch_is_captured_is_lost(graph):
    executor = executor_of(graph)
    executor.host.stream.refusal = lost("unspecified launch failure")
    with pytest.raises(DeviceLostError, match="unspecified launch failure"):
        executor.decode(integers(1), integers(0))


def test_the_devices_memory_goes_with_the_executor(graph):
    executor = executor_of(graph)
    executor.decode(integers(1), integers(0))
    memory = weakref.ref(executor.host.memory)
    del executor
    gc.collect()
    assert memory() is None


def test_a_plan_that_tensorrt_refuses_says_why_and_what_to_do(graph):
    with refused(EngineError, "no plan at all", "appliance tensorrt"):
        executor_of(graph, b"{")


@pytest.fixture(scope="module")
def real_plan():
    """A plan that the real builder makes of one operator."""
    logger = real_trt.Logger(real_trt.Logger.ERROR)
    builder = real_trt.Builder(logger)
    network = builder.create_network()
    value = network.add_input("x", real_trt.DataType.FLOAT, (1, 4))
    network.mark_output(network.add_activation(value, real_trt.ActivationType.RELU).get_output(0))
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(real_trt.ComputeCapability.SM89, 0)
    return bytes(builder.build_serialized_network(network, config))


@pytest.mark.parametrize("damage", [lambda plan: plan[: len(plan) // 2], lambda plan: b"no plan" + plan])
def test_tensorrt_itself_refuses_a_damaged_plan_and_says_why(graph, damage, real_plan):
    with refused(EngineError, "Serialization"):
        TrtExecutor(real_trt, FiniteMemory(), HostStream(), damage(real_plan), graph[1], SLOTS)


@pytest.mark.parametrize("change", [{"layers": 3}, {"vocabulary": 328}, {"head_dim": 32}, {"cache_dtype": "float16"}])
def test_a_plan_of_another_graph_is_refused(graph, change):
    path, shape = graph
    with refused(EngineError, "another graph"):
        executor_of((path, dataclasses.replace(shape, **change)))


def test_a_plan_whose_slots_lie_between_the_addresses_that_tensorrt_takes_is_refused(graph):
    path, shape = graph
    with refused(EngineError, 61, 256):
        open_executor(plan(path, capacity=61), shape, SLOTS)


def load(graph, memory):
    path, shape = graph
    host = HostTrt(memory, HostStream())
    fit = Fit(GpuMemory.free(memory.free, shared=False), 0, shape.cache_bytes_per_token, Cache(SLOTS, CAPACITY))
    return load_executor(host, memory, host.stream, plan(path, capacity=CAPACITY), shape, fit)


def test_too_little_memory_is_refused_with_the_arithmetic_and_what_would_fit(graph):
    memory = FiniteMemory()
    memory.free = RUNTIME_BYTES + 2 * CAPACITY * graph[1].cache_bytes_per_token + 1000
    with refused(NoSpaceError, "3 slots of 64", "3 slots of 43", "2 sl"):
        load(graph, memory)
    assert not memory.regions


def test_a_plan_without_room_is_not_made_smaller_by_a_setting_that_it_does_not_heed(graph):
    memory = FiniteMemory()
    memory.free = RUNTIME_BYTES
    with pytest.raises(NoSpaceError) as caught:
        load(graph, memory)
    assert "max_context_tokens" not in caught.value.hint
    memory.free = RUNTIME_BYTES + 2 * CAPACITY * graph[1].cache_bytes_per_token
    with refused(NoSpaceError, "--context") as caught:
        load(graph, memory)
    assert "max_context_tokens" not in caught.value.hint


def test_memory_that_is_free_but_in_pieces_is_called_fragmented(graph):
    memory = FiniteMemory()
    memory.largest_piece = 4096
    with refused(NoSpaceError, "fragmented"):
        load(graph, memory)


@pytest.mark.parametrize(
    "step",
    [
        lambda executor: executor.prefill(0, 0, integers(1, 2), 1),
        lambda executor: executor.decode(integers(1), integers(0)),
        lambda executor: executor.clear(0, 0),
        lambda executor: executor.copy(0, 1, 1),
    ],
)
def test_a_device_that_is_lost_is_said_to_be(graph, step):
    executor = executor_of(graph)
    executor.decode(integers(1), integers(0))
    executor.host.memory.error = lost("cudaErrorIllegalAddress (CUDA failure 700)")
    with refused(DeviceLostError, "GPU", "cudaErrorIllegalAddress"):
        step(executor)


def test_a_launch_that_tensorrt_refuses_is_an_error(graph):
    executor = executor_of(graph)
    executor.host.fails = True
    with refused(EngineError, "TensorRT", "step"):
        executor.prefill(0, 0, integers(1, 2), 1)


class RecordedCuda:
    """CUDA's runtime, whose calls are noted, held against the real ones' parameters, and answered with success."""

    def __init__(self, answers):
        self.calls = []
        self._answers = answers

    def __getattr__(self, name):
        real = getattr(runtime, name)
        if isinstance(real, type):
            return real
        (form,) = parameters(real)

        def call(*arguments):
            assert len(arguments) == len(form), f"{name} takes {form}"
            self.calls.append(name)
            return self._answers.get(name, (runtime.cudaError_t.cudaSuccess, 5))

        return call


def stream_over(monkeypatch, **answers):
    cuda = RecordedCuda(answers)
    for module in (cuda_stream, cuda_memory):
        monkeypatch.setattr(module, "cuda", cuda)
    return CudaStream(7), cuda


def test_a_launch_is_captured_between_begin_and_end_and_launched_as_one(monkeypatch):
    stream, cuda = stream_over(monkeypatch)
    replay = stream.capture(lambda: cuda.calls.append("launch"))
    replay()
    replay()
    begin, end = "cudaStreamBeginCapture", "cudaStreamEndCapture"
    made = ["cudaGraphInstantiate", "cudaGraphDestroy", "cudaGraphLaunch", "cudaGraphLaunch"]
    assert cuda.calls == [begin, "launch", end, *made]
    del replay
    gc.collect()
    assert cuda.calls[-1] == "cudaGraphExecDestroy"


def test_a_capture_ends_also_when_the_launch_fails(monkeypatch):
    stream, cuda = stream_over(monkeypatch)

    def launch():
        raise EngineError("TensorRT failed in a step")

    with refused(EngineError, "TensorRT", "step"):
        stream.capture(launch)
    # The last error is cleared, or the next launch would be taken for failed.
    assert cuda.calls == ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGetLastError"]


def test_a_capture_that_cuda_calls_invalid_leaves_the_device_to_go_on(monkeypatch):
    invalid = runtime.cudaError_t.cudaErrorStreamCaptureInvalidated
    stream, cuda = stream_over(monkeypatch, cudaStreamEndCapture=(invalid, None))
    with pytest.raises(EngineError, match="cudaErrorStreamCaptureInvalidated") as caught:
        stream.capture(lambda: None)
    assert not isinstance(caught.value, DeviceLostError)
    assert cuda.calls[-1] == "cudaGetLastError"


@pytest.mark.parametrize(
    ("code", "kind"),
    [("cudaErrorIllegalAddress", DeviceLostError), ("cudaErrorNotSupported", EngineError)],
)
def test_what_the_stream_answers_becomes_an_error(monkeypatch, code, kind):
    stream, _ = stream_over(monkeypatch, cudaStreamSynchronize=(getattr(runtime.cudaError_t, code),))
    with pytest.raises(kind, match=code):
        stream.wait()
