"""Compiles an artefact's graph into a plan, with the given TensorRT. It writes no file.

The shapes follow from the graph's contract in docs/graph.md.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from appliance.artefact.manifest import GRAPH
from appliance.errors import EngineError, NoSpaceError, UnsupportedError
from appliance.tensorrt.build_progress import BuildProgress, monitor
from appliance.tensorrt.find import Flavour, TensorRt
from appliance.tensorrt.plan_key import Profile

Advance = Callable[[int], None]
WORKSPACE_BYTES = 1 << 30
# All builder settings except the profile; they are a part of each plan's key.
FLAGS = ("strongly-typed", f"workspace={WORKSPACE_BYTES}", "profiles=prefill,decode")
_CACHE_PREFIX = "past_key_values."
_CAPACITY = "capacity"
# TensorRT's message about an input that no node uses. TensorRT itself would continue without the input.
_UNUSED = "unused input"
# TensorRT's parser silently ignores all inputs of `Attention` after these.
_ATTENTION_INPUTS = 4
_MOST_LINES = 4
_EXPORT = "export the model again"


def compile_plan(
    tensorrt: TensorRt, folder: Path, compute_capability: str, profile: Profile, timings: bytes, advance: Advance
) -> tuple[memoryview, bytes]:
    """Compile the graph of an artefact that `check_graph` has accepted.

    Args:
        tensorrt: see TensorRt.
        folder: the artefact's folder.
        compute_capability: the compute capability of the GPU that will run it, such as "8.9".
        profile: the shapes to serve.
        timings: the timing cache of an earlier build with the same TensorRT and GPU; empty if there is none.
        advance: receives the percent since the last call, from TensorRT's threads.

    Returns:
        The plan, and the updated timing cache.

    Raises:
        UnsupportedError: TensorRT rejects the graph or would ignore a part of it, or does not build for this GPU.
        NoSpaceError: memory ran out.
        EngineError: TensorRT failed; the message quotes it.
        KeyboardInterrupt: SIGINT came; it is deferred until TensorRT has stopped.
    """
    trt = tensorrt.module
    logger = _logger(trt)
    heard: list[str] = logger.heard
    heard.clear()
    builder = trt.Builder(logger)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    # TensorRT needs the cache's capacity while it parses. It reads the weights from the folder of the given path.
    if not parser.parse(_graph_of_capacity(folder, profile.capacity_tokens), str(folder / GRAPH)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        faults = [f"{error.node_operator()} {error.node_name()}: {error.desc()}" for error in errors]
        raise UnsupportedError(f"{tensorrt} rejects the graph: {_short(faults)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    for shapes in profile_shapes(_input_shapes(network), profile):
        optimisation = builder.create_optimization_profile()
        for name, (least, usual, most) in shapes.items():
            optimisation.set_shape(name, least, usual, most)
        config.add_optimization_profile(optimisation)
    _aim(tensorrt, config, compute_capability)
    measured = _offer_timings(tensorrt, config, timings)
    with _interruptible() as is_interrupted:
        watched = BuildProgress(advance, is_interrupted)
        config.progress_monitor = monitor(trt, watched)
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        _raise_failure(tensorrt, heard)
    unused = [line for line in heard if _UNUSED in line.lower()]
    if unused:
        raise UnsupportedError(f"{tensorrt} would ignore a part of the graph: {_short(unused)}", hint=_EXPORT)
    return memoryview(plan), bytes(measured.serialize()) if measured is not None else b""


def profile_shapes(
    inputs: dict[str, tuple[int, ...]], profile: Profile
) -> tuple[dict[str, tuple[tuple[int, ...], ...]], ...]:
    """The shapes of the two profiles, prefill and decode: for each input the minimum, optimum and maximum.

    Args:
        inputs: shape of each input of the network, -1 for a dynamic dimension.
        profile: see Profile.

    Raises:
        UnsupportedError: the network has an input that the contract does not name.
    """
    # Rows of the batch, tokens per row, rows of logits.
    prefill = ((1, 1, 1), (1, profile.chunk_tokens, 1), (1, profile.chunk_tokens, 1))
    decode = ((1, 1, 1), (profile.slots, 1, profile.slots), (profile.slots, 1, profile.slots))
    return tuple(
        {name: tuple(_shape(name, shape, *step) for step in steps) for name, shape in inputs.items()}
        for steps in (prefill, decode)
    )


def _shape(name: str, shape: tuple[int, ...], batch: int, length: int, wanted: int) -> tuple[int, ...]:
    if name.startswith(_CACHE_PREFIX):
        return (batch, *shape[1:])
    known = {"input_ids": (batch, length), "write_indices": (batch,), "logits_rows": (wanted,)}
    if name not in known:
        raise UnsupportedError(f"the graph has the input {name!r}, which this version does not support", hint=_EXPORT)
    return known[name]


def _input_shapes(network: Any) -> dict[str, tuple[int, ...]]:
    tensors = (network.get_input(index) for index in range(network.num_inputs))
    return {tensor.name: tuple(tensor.shape) for tensor in tensors}


def _graph_of_capacity(folder: Path, capacity: int) -> bytes:
    """The graph's bytes, with the cache's capacity as a constant; the weights stay in their external file.

    Raises:
        UnsupportedError: TensorRT would ignore a part of the graph.
    """
    model = onnx.load_model(folder / GRAPH, load_external_data=False)
    for node in model.graph.node:
        if node.op_type == "Attention" and any(node.input[_ATTENTION_INPUTS:]):
            beyond = ", ".join(filter(None, node.input[_ATTENTION_INPUTS:]))
            raise UnsupportedError(f"TensorRT would ignore an input of {node.op_type}: {beyond}", hint=_EXPORT)
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param == _CAPACITY:
                dimension.dim_value = capacity
    data: bytes = model.SerializeToString()
    return data


def _network_flags(trt: Any) -> int:
    """Use the element types of the graph, not TensorRT's choice. A TensorRT without this flag always does so."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _aim(tensorrt: TensorRt, config: Any, compute_capability: str) -> None:
    """Set the GPU to build for. By default, TensorRT builds only for the GPU of this machine.

    Raises:
        UnsupportedError: TensorRT for RTX does not support the GPU.
    """
    if tensorrt.flavour is not Flavour.RTX:
        return
    kinds = tensorrt.module.ComputeCapability
    name = f"SM{compute_capability.replace('.', '')}"
    if not hasattr(kinds, name):
        raise UnsupportedError(
            f"{tensorrt} does not support GPUs of compute capability {compute_capability}",
            hint="install TensorRT itself, which supports server GPUs and Jetson",
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(kinds, name), 0)


def _offer_timings(tensorrt: TensorRt, config: Any, timings: bytes) -> Any:
    """Load the timing cache. TensorRT for RTX measures nothing when it builds, so it has no timing cache."""
    if tensorrt.flavour is Flavour.RTX:
        return None
    cache = config.create_timing_cache(timings)
    if not config.set_timing_cache(cache, ignore_mismatch=False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    return cache


@cache
def _logger(trt: Any) -> Any:
    """A TensorRT logger that collects warnings and errors in `heard`; TensorRT's own logger prints them.

    There is one per process: while objects of another logger live, TensorRT does not call a new logger.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]  # the module is known at run time alone
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.heard: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.Severity.WARNING:
                self.heard.append(text)

    return Logger()


def _raise_failure(tensorrt: TensorRt, heard: list[str]) -> None:
    text = _short(heard[-_MOST_LINES:])
    if "out of memory" in text.lower() or "outofmemory" in text.lower():
        raise NoSpaceError(
            f"memory ran out while {tensorrt} built the plan: {text}",
            hint="stop other programs that use the GPU, or build with fewer --slots or a shorter --context",
        )
    raise EngineError(f"{tensorrt} could not build the plan: {text}")


def _short(lines: list[str]) -> str:
    return "; ".join(" ".join(line.split())[:300] for line in lines[:_MOST_LINES]) or "it gives no reason"


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Defer SIGINT while TensorRT runs: an exception inside its callbacks would end the process.

    Raises:
        KeyboardInterrupt: at the end of the block, if SIGINT came.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    before = signal.signal(signal.SIGINT, lambda _number, _frame: came.set())
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGINT, before)
    if came.is_set():
        raise KeyboardInterrupt
