"""Runs the artefact's graph with ONNX Runtime, on the CPU or on a device: the session and the memory say which.

Past and present are bound to the same memory, so a step writes its rows in place and copies nothing. A binding holds
its tensors' addresses, so each is made once: one a batch size for decoding, one a slot for prefill.

The cache may have some slots more than the engine knows of, in front of the others: they fill a batch up to whole
tiles of rows (see exactness.py). They stay empty: their single row is overwritten each time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.artefact import ModelShape
from appliance.engine.exactness import LARGEST_TILE, LONGEST_TRIAL, doubling, find_tile, graph_cache, least_alike
from appliance.engine.kv_cache import KVCache
from appliance.engine.logits import Logits
from appliance.engine.memory import Memory
from appliance.engine.ort_session import step_error
from appliance.engine.step_outputs import IDS, StepOutputs, Tensor
from appliance.errors import EngineError
from appliance.onnx_runtime import ort

_INT32, _INT64 = 6, 7  # ONNX's numbers of element types
_log = logging.getLogger(__name__)
_CACHE_TYPES = {"float32": 1, "float16": 10, "bfloat16": 16}


class OrtRunner:
    """One session, its cache and its bindings. See `Runner`."""

    def __init__(
        self,
        session: Any,
        memory: Memory,
        shape: ModelShape,
        *,
        slots: int,
        capacity: int,
        on_device: bool = False,
    ) -> None:
        """Reserve the cache, and find the tile.

        Args:
            session: ONNX Runtime's, with the graph.
            memory: where the session computes.
            shape: sizes of the cache and the logits.
            slots: slots of the cache.
            capacity: tokens that a slot can hold.
            on_device: the kernels are a GPU's. Their attention may divide the work of a decode step by its longest
                content, and a row must not depend on its neighbours' lengths: it is told the length of a slot. Short
                chunks of a prompt may have kernels of their own: they are filled up.

        Raises:
            EngineError: the graph does not run.
            NoSpaceError: no memory for the cache.
        """
        self._session = session
        self._memory = memory
        self._shape = shape
        self._capacity = capacity
        # Of a slot: its tokens, and what the last chunk may be filled up to.
        self._slot_rows = graph_cache(slots, capacity).rows if on_device else capacity
        self._on_device = on_device
        rows = LARGEST_TILE - 1 + max(slots, LARGEST_TILE)
        self._inputs = _Inputs(memory, rows, self._slot_rows)
        self._outputs = StepOutputs(memory, shape, rows, _listed(session))
        self._decoders: dict[int, _Binding] = {}
        self._prefillers: dict[int, _Binding] = {}
        self._tile, self._padding, self._least_chunk = 1, 0, 1
        self._cache = KVCache(shape, max(slots, LARGEST_TILE), self._slot_rows, memory)
        self._tile = find_tile(self._try_batch)
        if on_device:
            self._least_chunk = least_alike(doubling(LARGEST_TILE, LONGEST_TRIAL), self._is_chunk_alike)
            _log.info("prompts in chunks of %s rows or more", self._least_chunk)
        self._decoders.clear()
        self._prefillers.clear()
        self._cache.free()
        self._padding = self._tile - 1
        self._cache = KVCache(shape, self._padding + slots, self._slot_rows, memory)

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """See `Runner`. Rows that fill a chunk up come after its own, which do not see them; the next replace them."""
        return self._prefill(slot, start, tokens, self._least_chunk)

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits:
        """See `Runner`."""
        count = len(tokens)
        padding = -count % self._tile
        rows = padding + count
        first = self._padding - padding
        self._check_step(tokens, max(lengths) + 1)
        binding = self._decoders.get(count) or self._decoders.setdefault(count, self._bind(first, rows))
        ids = np.zeros((rows, 1), np.int64)
        ids[padding:, 0] = tokens
        totals = np.ones(rows, np.int32)
        totals[padding:] += np.array(lengths, np.int32)
        self._run(binding, ids, totals, np.arange(rows), self._slot_rows if self._on_device else None)
        return self._outputs.logits(rows, padding)

    def copy(self, source: int, target: int, rows: int) -> None:
        """See `Runner`."""
        self._cache.copy(self._padding + source, self._padding + target, rows)

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """See `Runner`."""
        self._cache.swap(self._padding + first, first_rows, self._padding + second, second_rows)

    def release(self, slot: int, keep_rows: int) -> None:
        """See `Runner`."""
        self._cache.release(self._padding + slot, keep_rows)

    def _bind(self, first: int, rows: int) -> _Binding:
        element_type, dimensions = _CACHE_TYPES[self._shape.cache_dtype], (rows, *self._cache.dimensions)
        places = zip(self._cache.names, self._cache.addresses(first), strict=True)
        cache = [Tensor(name, element_type, dimensions, address) for name, address in places]
        return _Binding(self._session, self._memory.device_type, list(self._outputs.tensors(rows)), cache)

    def _try_batch(self, rows: int) -> NDArray[np.float32]:
        """Decode `rows` different tokens, each behind a row of zeros: the cache has not been used yet."""
        tokens = [self._shape.tokens * row // LARGEST_TILE for row in range(rows)]
        return self.decode(tokens, [1] * rows).rows(range(rows))

    def _prefill(self, slot: int, start: int, tokens: Sequence[int], least: int) -> Logits:
        binding = self._prefillers.get(slot) or self._prefillers.setdefault(slot, self._bind(self._padding + slot, 1))
        count = len(tokens)
        self._check_step(tokens, start + count)
        ids = np.zeros((1, max(count, least)), np.int64)
        ids[0, :count] = tokens
        self._run(binding, ids, np.array([start + ids.size], np.int32), np.array([count - 1]))
        return self._outputs.logits(1, 0)

    def _is_chunk_alike(self, rows: int) -> bool:
        """Whether the last row of so many has the very bits that it has in the longest trial."""
        tokens = [self._shape.tokens * row // rows for row in range(rows)]
        row, same = (self._prefill(0, 0, tokens, least).rows([0]).copy() for least in (1, LONGEST_TRIAL))
        return np.array_equal(row, same)

    def _check_step(self, tokens: Sequence[int], rows: int) -> None:
        """The kernels would write past the slot and read past the embedding table: they check neither."""
        if not 0 < rows <= self._capacity:
            raise EngineError(f"a step needs {rows} rows of a slot, but a slot has {self._capacity}")
        if min(tokens) < 0 or max(tokens) >= self._shape.vocabulary:
            raise EngineError(f"a step has a token id outside the vocabulary of {self._shape.vocabulary}")

    def _run(
        self,
        binding: _Binding,
        ids: NDArray[np.int64],
        totals: NDArray[np.int32],
        wanted: NDArray[np.int64],
        longest: int | None = None,
    ) -> None:
        try:
            self._inputs.store(ids, totals, wanted)
            if binding.shape != ids.shape:
                binding.bind_inputs(self._inputs.tensors(ids.shape, len(wanted)), ids.shape)
            binding.run(int(totals.max()) if longest is None else longest)
        except EngineError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            raise step_error(error) from error


class _Inputs:
    """The memory of a step's inputs: one step runs at a time, so every binding has the same."""

    def __init__(self, memory: Memory, rows: int, capacity: int) -> None:
        self._memory = memory
        self._ids = memory.reserve(8 * max(rows, capacity)).address
        self._lengths = memory.reserve(4 * rows).address
        self._wanted = memory.reserve(8 * rows).address

    def store(self, ids: NDArray[np.int64], totals: NDArray[np.int32], wanted: NDArray[np.int64]) -> None:
        """Write a step's inputs. `totals` are the rows of each slot after the step."""
        self._memory.store(self._ids, ids)
        self._memory.store(self._lengths, totals - np.int32(1))
        self._memory.store(self._wanted, wanted)

    def tensors(self, shape: tuple[int, ...], wanted: int) -> list[Tensor]:
        """The inputs of a step whose token ids have this shape."""
        return [
            Tensor("input_ids", _INT64, shape, self._ids),
            Tensor("seqlens_k", _INT32, shape[:1], self._lengths),
            Tensor("logits_rows", _INT64, (wanted,), self._wanted),
        ]


class _Binding:
    """The tensors of one kind of launch, bound once; only inputs of a new shape are bound again.

    Attributes:
        shape: of the token ids that are bound; empty at first.
    """

    def __init__(self, session: Any, device_type: str, outputs: Sequence[Tensor], cache: Sequence[Tensor]) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._device_type = device_type
        self.shape: tuple[int, ...] = ()
        # The attention reads this number on the CPU, wherever it computes. What is bound is this very memory, which
        # not every ONNX Runtime keeps alive.
        self._longest = np.zeros((), np.int32)
        self._binding.bind_ortvalue_input("total_sequence_length", ort.OrtValue.ortvalue_from_numpy(self._longest))
        # The logits come first: bound after the cache they would be missing from the outputs.
        for tensor in outputs:
            self._bind_output(tensor.name, tensor)
        for tensor in cache:
            self._bind_input(f"past_key_values.{tensor.name}", tensor)
            self._bind_output(f"present.{tensor.name}", tensor)

    def bind_inputs(self, inputs: Sequence[Tensor], shape: tuple[int, ...]) -> None:
        """Bind the inputs of steps whose token ids have this shape."""
        for tensor in inputs:
            self._bind_input(tensor.name, tensor)
        self.shape = shape

    def run(self, longest: int) -> None:
        """Run the graph; `longest` is the most rows that a slot may hold after the step."""
        self._longest[...] = longest
        self._session.run_with_iobinding(self._binding)

    def _bind_input(self, name: str, tensor: Tensor) -> None:
        self._binding.bind_input(name, self._device_type, 0, tensor.element_type, tensor.shape, tensor.address)

    def _bind_output(self, name: str, tensor: Tensor) -> None:
        self._binding.bind_output(name, self._device_type, 0, tensor.element_type, tensor.shape, tensor.address)


def _listed(session: Any) -> int:
    """How many of each row's likeliest tokens the graph lists; 0 for none."""
    shapes = {output.name: output.shape for output in session.get_outputs()}
    return int(shapes[IDS][1]) if IDS in shapes else 0
