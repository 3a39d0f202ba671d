"""Launches a verified TensorRT plan on a GPU. This module decides nothing: trt_runner.py does.

A launch captured as a CUDA graph depends on the state of its execution context. So each batch size has its own context,
whose shapes and addresses never change; prefill has a context that is never captured. All contexts share one piece of
working memory, because launches run one after another on one stream.

TensorRT for RTX compiles kernels for new shapes. It is configured to compile before the launch, not in the background:
replacing a kernel later would change the rounding in the middle of an answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.artefact import ModelShape
from appliance.engine.exactness import LARGEST_TILE
from appliance.engine.executor import PlanLimits
from appliance.engine.kv_cache import KVCache
from appliance.engine.logits import Logits
from appliance.engine.memory import Memory
from appliance.engine.step_outputs import LISTED, StepOutputs
from appliance.errors import DeviceLostError, EngineError, NoSpaceError

_REBUILD = "build the plan again: appliance tensorrt build"
_ALIGNMENT_BYTES = 256
_log = logging.getLogger(__name__)


class LaunchStream(Protocol):
    """The stream for a memory's operations and TensorRT's launches.

    Attributes:
        address: the stream's handle for TensorRT.
    """

    address: int

    def wait(self) -> None:
        """Wait until all launches have finished.

        Raises:
            EngineError: a launch failed.
        """

    def capture(self, launch: Callable[[], None]) -> Callable[[], None]:
        """Record the launches of `launch` without running them, and return a function that runs them.

        Raises:
            EngineError: an operation cannot be recorded.
        """


class TrtExecutor:
    """A deserialised plan, its contexts, buffers and cache. See `Executor`.

    Attributes:
        limits: see PlanLimits.
    """

    def __init__(
        self, trt: Any, memory: Memory, stream: LaunchStream, plan: bytes, shape: ModelShape, slots: int
    ) -> None:
        """Load a plan and reserve its memory.

        Args:
            trt: the module of TensorRT, or of TensorRT for RTX, that built the plan.
            memory: memory of the device.
            stream: stream of the memory.
            plan: content of the verified file.
            shape: the model's shape, which the plan must match.
            slots: slots of the cache.

        Raises:
            NoSpaceError: the device does not have enough memory for the plan.
            EngineError: TensorRT rejects the plan, or the plan belongs to another graph.
        """
        self._trt = trt
        self._memory = memory
        self._stream = stream
        self._complaints = _complaints(trt)
        self._runtime = trt.Runtime(self._complaints)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise _refused(self._complaints.take())
        _check_tensors(trt, self._engine, shape)
        self._prefill_profile, self._decode_profile, self.limits = _profiles(self._engine)
        _check_alignment(self.limits.capacity, shape)
        batch = self.limits.batch
        self._ids, self._write_indices, self._wanted = (
            memory.reserve(count * np.dtype(np.int64).itemsize).address
            for count in (max(self.limits.most_chunk, batch), batch, batch)
        )
        self._outputs = StepOutputs(memory, shape, batch, tuple(self._engine.get_tensor_shape(LISTED))[1])
        sizes = map(self._engine.get_device_memory_size_for_profile_v2, (self._prefill_profile, self._decode_profile))
        self._working = memory.reserve(max(1, *sizes))
        self._cache = KVCache(shape, slots, self.limits.capacity, memory)
        self._prefill = self._context(self._prefill_profile, 1)
        self._decoders: dict[int, Callable[[], None]] = {}
        # Keep the contexts alive: a captured launch reads its context's device memory but does not own it.
        self._contexts: list[Any] = []

    def prefill(self, slot: int, start: int, ids: NDArray[np.int64], wanted: int) -> Logits:
        """See `Executor`."""
        self._set_cache(self._prefill, slot)
        self._set_shapes(self._prefill, batch=1, length=len(ids), wanted=1)
        self._feed(ids, np.array([start], np.int64), np.array([wanted], np.int64))
        self._launch(self._prefill)
        return self._outputs.logits(1, 0)

    def decode(self, ids: NDArray[np.int64], write_indices: NDArray[np.int64]) -> Logits:
        """See `Executor`. The first launch of a batch size captures the launch for all later ones."""
        batch = len(ids)
        self._feed(ids, write_indices, np.arange(batch, dtype=np.int64))
        decoder = self._decoders.get(batch)
        if decoder is None:
            self._decoders[batch] = self._first_decode(batch)
        else:
            decoder()
        return self._outputs.logits(batch, 0)

    def copy(self, source: int, target: int, rows: int) -> None:
        """See `Executor`."""
        self._cache.copy(source, target, rows)

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """See `Executor`."""
        self._cache.swap(first, first_rows, second, second_rows)

    def clear(self, slot: int, from_row: int) -> None:
        """See `Executor`."""
        self._cache.clear(slot, from_row)

    def _first_decode(self, batch: int) -> Callable[[], None]:
        """Launch, and return a function that launches again. TensorRT can capture only shapes that ran before."""
        context = self._context(self._decode_profile, batch)
        self._contexts.append(context)
        self._set_cache(context, 0)
        self._set_shapes(context, batch=batch, length=1, wanted=batch)
        self._launch(context)
        self._stream.wait()
        try:
            return self._stream.capture(lambda: self._launch(context))
        except DeviceLostError:
            raise
        except EngineError as error:
            _log.warning("launches of %d slots are not captured: %s", batch, error.message)
            return lambda: self._launch(context)

    def _context(self, profile: int, rows: int) -> Any:
        """Create a context in the shared working memory for `rows` rows of logits, without the cache's addresses."""
        trt = self._trt
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if hasattr(trt, "DynamicShapesKernelSpecializationStrategy"):  # only in TensorRT for RTX
            config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        context = self._engine.create_execution_context(config)
        if context is None:
            raise self._failure("TensorRT makes no execution context")
        context.set_device_memory(self._working.address, self._working.size_bytes)
        self._expect(context.set_optimization_profile_async(profile, self._stream.address), "a profile")
        inputs = {"input_ids": self._ids, "write_indices": self._write_indices, "logits_rows": self._wanted}
        outputs = {tensor.name: tensor.address for tensor in self._outputs.tensors(rows)}
        for name, address in (inputs | outputs).items():
            self._expect(context.set_tensor_address(name, address), name)
        return context

    def _set_cache(self, context: Any, slot: int) -> None:
        for name, address in zip(self._cache.names, self._cache.addresses(slot), strict=True):
            self._expect(context.set_tensor_address(f"past_key_values.{name}", address), name)
            self._expect(context.set_tensor_address(f"present.{name}", address), name)

    def _set_shapes(self, context: Any, *, batch: int, length: int, wanted: int) -> None:
        shapes: dict[str, tuple[int, ...]] = {
            "input_ids": (batch, length),
            "write_indices": (batch,),
            "logits_rows": (wanted,),
            **{f"past_key_values.{name}": (batch, *self._cache.dimensions) for name in self._cache.names},
        }
        for name, shape in shapes.items():
            self._expect(context.set_input_shape(name, shape), name)

    def _feed(self, ids: NDArray[np.int64], write_indices: NDArray[np.int64], wanted: NDArray[np.int64]) -> None:
        self._memory.store(self._ids, np.ascontiguousarray(ids))
        self._memory.store(self._write_indices, np.ascontiguousarray(write_indices))
        self._memory.store(self._wanted, wanted)

    def _launch(self, context: Any) -> None:
        if not context.execute_async_v3(self._stream.address):
            raise self._failure("TensorRT failed in a step")

    def _expect(self, accepted: bool, name: str) -> None:
        if not accepted:
            raise self._failure(f"TensorRT does not take {name}")

    def _failure(self, sentence: str) -> EngineError:
        return EngineError(f"{sentence}: {self._complaints.take()}", hint=_REBUILD)


def _refused(complaint: str) -> EngineError | NoSpaceError:
    """The error for a plan that TensorRT did not load. TensorRT gives a message but no error code."""
    if "out of memory" in complaint.lower() or "outofmemory" in complaint.lower():
        return NoSpaceError(f"TensorRT does not have enough memory for the plan: {complaint}")
    return EngineError(f"TensorRT rejects the plan: {complaint}", hint=_REBUILD)


def _profiles(engine: Any) -> tuple[int, int, PlanLimits]:
    """Identify the profiles by their shapes. Return the indices of prefill's and decoding's profiles, and the limits.

    Raises:
        EngineError: the plan has other profiles, or its capacity is not fixed.
    """
    found = {}
    for index in range(engine.num_optimization_profiles):
        least, _, most = (tuple(shape) for shape in engine.get_tensor_profile_shape("input_ids", index))
        found["decode" if most[1] == 1 else "prefill"] = (index, least, most)
    capacity = tuple(engine.get_tensor_shape("past_key_values.0.key"))[2]
    if found.keys() != {"decode", "prefill"} or capacity < 1:
        raise EngineError("the plan does not have exactly one profile for prefill and one for decoding", hint=_REBUILD)
    prefill, least, most = found["prefill"]
    decode, _, largest = found["decode"]
    return prefill, decode, PlanLimits(capacity, least_chunk=least[1], most_chunk=most[1], batch=largest[0])


def _check_alignment(capacity: int, shape: ModelShape) -> None:
    """Check that every slot begins at an address that TensorRT accepts: a slot begins where the previous one ends.

    Raises:
        EngineError: the size of a slot is not a multiple of the alignment.
    """
    if capacity * shape.cache_bytes_per_token // (2 * shape.layers) % _ALIGNMENT_BYTES:
        raise EngineError(
            f"slots of {capacity} rows do not begin at multiples of {_ALIGNMENT_BYTES} bytes",
            hint=f"{_REBUILD}, for a context and a chunk that are multiples of {LARGEST_TILE}",
        )


def _check_tensors(trt: Any, engine: Any, shape: ModelShape) -> None:
    """Compare the plan's inputs and outputs with the manifest.

    Raises:
        EngineError: they differ.
    """
    cache_type = {
        "float32": trt.DataType.FLOAT,
        "float16": trt.DataType.HALF,
        "bfloat16": trt.DataType.BF16,
    }[shape.cache_dtype]
    pieces = [f"{layer}.{kind}" for layer in range(shape.layers) for kind in ("key", "value")]
    caches = [f"{side}.{piece}" for side in ("past_key_values", "present") for piece in pieces]
    types = {
        **dict.fromkeys(("input_ids", "write_indices", "logits_rows", "candidate_ids"), trt.DataType.INT64),
        **dict.fromkeys(("logits", "candidate_logits", "log_normaliser"), trt.DataType.FLOAT),
        **dict.fromkeys(caches, cache_type),
    }
    found = {name: engine.get_tensor_dtype(name) for name in map(engine.get_tensor_name, range(engine.num_io_tensors))}
    sizes = {tuple(engine.get_tensor_shape(name))[1::2] for name in caches if name in found}
    if (
        found != types
        or sizes != {(shape.kv_heads, shape.head_dim)}
        or tuple(engine.get_tensor_shape("logits"))[1] != shape.vocabulary
    ):
        raise EngineError(
            "the plan belongs to another graph: its inputs and outputs differ from the model's", hint=_REBUILD
        )


def _complaints(trt: Any) -> Any:
    """A logger that keeps the first error until `take`: the first error is the cause of the later ones."""

    class Complaints(trt.ILogger):  # type: ignore[misc]  # TensorRT requires a subclass of its own class
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._first = ""

        def take(self) -> str:
            first, self._first = self._first, ""
            return first or "it does not say why"

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self._first = self._first or message
                _log.error("TensorRT: %s", message)

    return Complaints()
