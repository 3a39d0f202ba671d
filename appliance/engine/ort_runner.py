"""Runs the artefact's graph with ONNX Runtime, on the CPU or on a device: the session and the memory determine which.

Past and present of the cache are bound to the same memory, so a step writes its rows in place and copies nothing. A
binding holds the addresses of its tensors, so each binding is created once: for decoding one per batch size, for
prefill one per slot, for verifying one per number of slots and tokens.

The cache may have padding slots in front of the engine's slots. They pad a batch to whole tiles of rows (see
exactness.py). A padding slot stays empty: each step overwrites its single row.
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
from appliance.engine.runner import MAX_DRAFT_TOKENS, MAX_SCORED_ROWS, MAX_VERIFIED_ROWS, ExactRunner, ScoringRunner
from appliance.engine.step_outputs import IDS, StepOutputs, Tensor
from appliance.errors import EngineError
from appliance.onnx_runtime import ort
from appliance.packed.rewrite import cache_block_rows, has_exact_rows

_INT32, _INT64 = 6, 7  # ONNX's numbers for element types
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
        """Reserve the cache, and measure the tile size unless the graph has exact rows.

        Args:
            session: ONNX Runtime's session with the graph.
            memory: the memory of the session's device.
            shape: sizes of the cache and the logits.
            slots: slots of the cache.
            capacity: tokens that a slot can hold.
            on_device: whether a GPU computes the graph. A GPU's attention may split a decode step by the longest
                sequence in it, but a row must not depend on the lengths of other sequences: so the attention gets
                the size of a slot as the length. Short prompt chunks may have their own kernels: they are padded.

        Raises:
            EngineError: the graph fails.
            NoSpaceError: there is not enough memory for the cache.
        """
        self._session = session
        self._memory = memory
        self._shape = shape
        self._capacity = capacity
        metadata = session.get_modelmeta().custom_metadata_map
        self._block = cache_block_rows(metadata)
        self._is_exact = has_exact_rows(metadata)
        # Rows of a slot: its tokens, and the padding of the last chunk, step or block.
        padded = -(-(capacity + MAX_DRAFT_TOKENS * self._is_exact) // self._block) * self._block
        self._slot_rows = graph_cache(slots, capacity).rows if on_device else padded
        self._on_device = on_device
        rows = max(slots, MAX_VERIFIED_ROWS) if self._is_exact else LARGEST_TILE - 1 + max(slots, LARGEST_TILE)
        rows = max(rows, MAX_SCORED_ROWS)
        self._inputs = _Inputs(memory, rows, self._slot_rows)
        self._outputs = StepOutputs(memory, shape, rows, _listed(session))
        self._decoders: dict[int, _Binding] = {}
        self._prefillers: dict[int, _Binding] = {}
        self._verifiers: dict[tuple[int, int], _Binding] = {}
        self._scorers: dict[tuple[int, int], _Binding] = {}
        self._padding, self._least_chunk = 0, 1
        self._tile = 1 if self._is_exact else self._measure(slots)
        self._padding = self._tile - 1
        self._cache = KVCache(shape, self._padding + slots, self._slot_rows, memory, self._block)

    def _measure(self, slots: int) -> int:
        """Measure the tile size, and on a device the least chunk. All steps of it use a cache of their own."""
        self._tile = 1
        self._cache = KVCache(self._shape, max(slots, LARGEST_TILE), self._slot_rows, self._memory, self._block)
        self._tile = find_tile(self._try_batch)
        if self._on_device:
            self._least_chunk = least_alike(doubling(LARGEST_TILE, LONGEST_TRIAL), self._is_chunk_alike)
            _log.info("prompts in chunks of %s rows or more", self._least_chunk)
        self._decoders.clear()
        self._prefillers.clear()
        self._cache.free()
        return self._tile

    @property
    def exact(self) -> ExactRunner | None:
        """See `Runner`."""
        return self if self._is_exact else None

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """See `Runner`. Padding rows follow the chunk, so its rows do not attend to them. Later rows replace them."""
        return self._prefill(slot, start, tokens, self._least_chunk)

    @property
    def scorer(self) -> ScoringRunner:
        """See `Runner`."""
        return self

    def score(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """See `ScoringRunner`. The output head gets whole tiles of rows, so that each row has its own bits."""
        count = len(tokens)
        wanted = np.minimum(np.arange(-(-count // LARGEST_TILE) * LARGEST_TILE), count - 1)
        if wanted.size > MAX_SCORED_ROWS:
            raise EngineError(f"the logits of {count} tokens of a prompt are too many for one step")
        binding = self._scorers.get((slot, wanted.size))
        if binding is None:
            binding = self._scorers[slot, wanted.size] = self._bind(self._padding + slot, 1, wanted.size)
        self._run_chunk(binding, start, tokens, self._least_chunk, wanted)
        return self._outputs.logits(wanted.size, 0)

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits:
        """See `Runner`."""
        count = len(tokens)
        padding = -count % self._tile
        rows = padding + count
        first = self._padding - padding
        self._check_step(tokens, max(lengths) + 1)
        binding = self._decoders.get(count) or self._decoders.setdefault(count, self._bind(first, rows, rows))
        ids = np.zeros((rows, 1), np.int64)
        ids[padding:, 0] = tokens
        totals = np.ones(rows, np.int32)
        totals[padding:] += np.array(lengths, np.int32)
        self._run(binding, ids, totals, np.arange(rows), self._slot_rows if self._on_device else None)
        return self._outputs.logits(rows, padding)

    def verify(self, tokens: Sequence[Sequence[int]], lengths: Sequence[int]) -> Logits:
        """See `ExactRunner`. Padding rows follow the tokens of a slot; the slot's later rows replace them."""
        counts = [len(each) for each in tokens]
        count, longest = len(counts), max(counts)
        if longest > 1 + MAX_DRAFT_TOKENS or count * longest > MAX_VERIFIED_ROWS:
            raise EngineError(f"a step has {longest} tokens for each of {count} sequences, which is too many")
        ends = [length + taken for length, taken in zip(lengths, counts, strict=True)]
        self._check_step([token for each in tokens for token in each], max(ends))
        ids = np.zeros((count, longest), np.int64)
        for slot, each in enumerate(tokens):
            ids[slot, : len(each)] = each
        wanted = np.array([slot * longest + row for slot, taken in enumerate(counts) for row in range(taken)])
        binding = self._verifiers.get((count, wanted.size))
        if binding is None:
            binding = self._verifiers[count, wanted.size] = self._bind(0, count, wanted.size)
        self._run(binding, ids, np.array(lengths, np.int32) + np.int32(longest), wanted)
        return self._outputs.logits(wanted.size, 0)

    def copy(self, source: int, target: int, rows: int) -> None:
        """See `Runner`."""
        self._cache.copy(self._padding + source, self._padding + target, rows)

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """See `Runner`."""
        self._cache.swap(self._padding + first, first_rows, self._padding + second, second_rows)

    def release(self, slot: int, keep_rows: int) -> None:
        """See `Runner`."""
        self._cache.release(self._padding + slot, keep_rows)

    def _bind(self, first: int, slots: int, wanted: int) -> _Binding:
        """Bind the cache of `slots` slots from `first`, and the outputs for `wanted` rows."""
        element_type, dimensions = _CACHE_TYPES[self._shape.cache_dtype], (slots, *self._cache.dimensions)
        places = zip(self._cache.names, self._cache.addresses(first), strict=True)
        cache = [Tensor(name, element_type, dimensions, address) for name, address in places]
        return _Binding(self._session, self._memory.device_type, list(self._outputs.tensors(wanted)), cache)

    def _try_batch(self, rows: int) -> NDArray[np.float32]:
        """Decode `rows` different tokens, each after one row of zeros. The cache must not have been used yet."""
        tokens = [self._shape.tokens * row // LARGEST_TILE for row in range(rows)]
        return self.decode(tokens, [1] * rows).rows(range(rows))

    def _prefill(self, slot: int, start: int, tokens: Sequence[int], least: int) -> Logits:
        binding = self._prefillers.get(slot)
        if binding is None:
            binding = self._prefillers[slot] = self._bind(self._padding + slot, 1, 1)
        self._run_chunk(binding, start, tokens, least, np.array([len(tokens) - 1]))
        return self._outputs.logits(1, 0)

    def _run_chunk(
        self, binding: _Binding, start: int, tokens: Sequence[int], least: int, wanted: NDArray[np.int64]
    ) -> None:
        """Compute a chunk of a prompt, padded to `least` rows."""
        count = len(tokens)
        self._check_step(tokens, start + count)
        ids = np.zeros((1, max(count, least)), np.int64)
        ids[0, :count] = tokens
        self._run(binding, ids, np.array([start + ids.size], np.int32), wanted)

    def _is_chunk_alike(self, rows: int) -> bool:
        """Whether the last row of a chunk of `rows` rows is bit-identical if the chunk is padded to LONGEST_TRIAL."""
        tokens = [self._shape.tokens * row // rows for row in range(rows)]
        row, same = (self._prefill(0, 0, tokens, least).rows([0]).copy() for least in (1, LONGEST_TRIAL))
        return np.array_equal(row, same)

    def _check_step(self, tokens: Sequence[int], rows: int) -> None:
        """Check slot size and token ids: the kernels do not, and would write or read out of bounds."""
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
        except Exception as error:  # ONNX Runtime's errors have no narrower base class
            raise step_error(error) from error


class _Inputs:
    """The memory of a step's inputs. One step runs at a time, so all bindings share this memory."""

    def __init__(self, memory: Memory, rows: int, capacity: int) -> None:
        self._memory = memory
        self._ids = memory.reserve(8 * max(rows, capacity)).address
        self._lengths = memory.reserve(4 * rows).address
        self._wanted = memory.reserve(8 * rows).address

    def store(self, ids: NDArray[np.int64], totals: NDArray[np.int32], wanted: NDArray[np.int64]) -> None:
        """Write a step's inputs. `totals` is the number of rows of each slot after the step."""
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
    """The tensors of one kind of launch, bound once. Only inputs of a new shape are bound again.

    Attributes:
        shape: shape of the bound token ids; empty at first.
    """

    def __init__(self, session: Any, device_type: str, outputs: Sequence[Tensor], cache: Sequence[Tensor]) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._device_type = device_type
        self.shape: tuple[int, ...] = ()
        # The attention reads this number on the CPU, also on a GPU. The binding refers to this array's memory, and not
        # every version of ONNX Runtime keeps the array alive.
        self._longest = np.zeros((), np.int32)
        self._binding.bind_ortvalue_input("total_sequence_length", ort.OrtValue.ortvalue_from_numpy(self._longest))
        # Bind the logits first: if they are bound after the cache, they are missing from the outputs.
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
        """Run the graph; `longest` is the maximum number of rows of a slot after the step."""
        self._longest[...] = longest
        self._session.run_with_iobinding(self._binding)

    def _bind_input(self, name: str, tensor: Tensor) -> None:
        self._binding.bind_input(name, self._device_type, 0, tensor.element_type, tensor.shape, tensor.address)

    def _bind_output(self, name: str, tensor: Tensor) -> None:
        self._binding.bind_output(name, self._device_type, 0, tensor.element_type, tensor.shape, tensor.address)


def _listed(session: Any) -> int:
    """Number of likeliest tokens that the graph lists for each row; 0 if it lists none."""
    shapes = {output.name: output.shape for output in session.get_outputs()}
    return int(shapes[IDS][1]) if IDS in shapes else 0
