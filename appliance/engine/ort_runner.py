"""Runs the artefact's graph with ONNX Runtime on the CPU. It checks no artefact: the gate comes first.

Past and present are bound to the same memory, so a step writes its rows in place and copies nothing. A binding holds
its tensors' addresses, so each is made once: one a batch size for decoding, one a slot for prefill.

The cache has some slots more than the engine knows of, in front of the others: they fill a batch up to whole tiles of
rows (see exactness.py). They stay empty: their single row is overwritten each time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
from numpy.typing import NDArray

from appliance.artefact import ModelShape
from appliance.engine.exactness import LARGEST_TILE, find_tile
from appliance.engine.kv_cache import Buffer, KVCache
from appliance.engine.logits import HostLogits, Logits
from appliance.errors import EngineError

_PADDING = LARGEST_TILE - 1


class OrtRunner:
    """One session, its cache and its bindings. See `Runner`."""

    def __init__(self, graph: Path, shape: ModelShape, *, slots: int, capacity: int, threads: int | None) -> None:
        """Load the graph.

        Args:
            graph: the ONNX file, already through the gate.
            shape: sizes of the cache and the logits.
            slots: slots of the cache.
            capacity: tokens that a slot can hold.
            threads: threads of the operators; None takes the physical cores this process may use.

        Raises:
            EngineError: ONNX Runtime refuses the graph.
            NoSpaceError: no address space for the cache.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or _physical_cores()
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.enable_mem_pattern = False  # it would keep a plan for every prompt length ever seen
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            raise EngineError(
                f"ONNX Runtime cannot load {graph.name}: {error}", hint="export the model again"
            ) from error
        self._shape = shape
        self._capacity = capacity
        rows = _PADDING + max(slots, LARGEST_TILE)
        self._cache = KVCache(shape, rows, capacity)
        self._logits = np.empty((rows, shape.vocabulary), np.float32)
        self._decoders: dict[int, _Binding] = {}
        self._prefillers: dict[int, _Binding] = {}
        self._tile = 1
        self._tile = find_tile(self._try_batch)
        self._decoders.clear()  # made without padding

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """See `Runner`."""
        first = _PADDING + slot
        binding = self._prefillers.get(slot) or self._prefillers.setdefault(slot, self._bind(first, 1))
        count = len(tokens)
        totals = np.array([start + count], np.int32)
        return HostLogits(self._run(binding, np.array([tokens], np.int64), totals, np.array([count - 1])))

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits:
        """See `Runner`."""
        count = len(tokens)
        padding = -count % self._tile
        rows = padding + count
        first = _PADDING - padding
        binding = self._decoders.get(count) or self._decoders.setdefault(count, self._bind(first, rows))
        ids = np.zeros((rows, 1), np.int64)
        ids[padding:, 0] = tokens
        totals = np.ones(rows, np.int32)
        totals[padding:] += np.array(lengths, np.int32)
        return HostLogits(self._run(binding, ids, totals, np.arange(rows))[padding:])

    def copy(self, source: int, target: int, rows: int) -> None:
        """See `Runner`."""
        self._cache.copy(_PADDING + source, _PADDING + target, rows)

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """See `Runner`."""
        self._cache.swap(_PADDING + first, first_rows, _PADDING + second, second_rows)

    def release(self, slot: int, keep_rows: int) -> None:
        """See `Runner`."""
        self._cache.release(_PADDING + slot, keep_rows)

    def _bind(self, first: int, rows: int) -> _Binding:
        cache = dict(zip(self._cache.names, self._cache.view(first, rows), strict=True))
        return _Binding(self._session, self._logits[:rows], cache)

    def _try_batch(self, rows: int) -> NDArray[np.float32]:
        """Decode `rows` different tokens, each behind a row of zeros: the cache has not been used yet."""
        tokens = [self._shape.tokens * row // LARGEST_TILE for row in range(rows)]
        return self.decode(tokens, [1] * rows).rows(range(rows))

    def _check_step(self, ids: NDArray[np.int64], totals: NDArray[np.int32]) -> None:
        """The kernels would write past the slot and read past the embedding table: they check neither."""
        if not 0 < totals.max() <= self._capacity:
            raise EngineError(f"a step would need {totals.max()} rows of a slot that holds {self._capacity}")
        if ids.min() < 0 or ids.max() >= self._shape.vocabulary:
            raise EngineError(f"a step was given a token id beyond the vocabulary of {self._shape.vocabulary}")

    def _run(
        self, binding: _Binding, ids: NDArray[np.int64], totals: NDArray[np.int32], wanted: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        self._check_step(ids, totals)
        try:
            binding.run(ids, totals, wanted)
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            raise EngineError(f"ONNX Runtime failed in a step: {error}") from error
        return self._logits[: len(wanted)]


class _Binding:
    """The tensors of one kind of launch, bound once; only inputs of a new shape are bound again."""

    def __init__(self, session: Any, logits: NDArray[np.float32], cache: Mapping[str, Buffer]) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._inputs: dict[str, NDArray[Any]] = {}
        # The logits come first: bound after the cache they would be missing from the outputs.
        self._binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(logits))
        for name, buffer in cache.items():
            value = ort.OrtValue.ortvalue_from_numpy(buffer)
            self._binding.bind_ortvalue_input(f"past_key_values.{name}", value)
            self._binding.bind_ortvalue_output(f"present.{name}", value)

    def run(self, ids: NDArray[np.int64], totals: NDArray[np.int32], wanted: NDArray[np.int64]) -> None:
        """Run the graph on token ids [rows, length]; `totals` are the rows of each slot after the step."""
        self._set("input_ids", ids)
        self._set("seqlens_k", totals - np.int32(1))
        self._set("total_sequence_length", np.array(totals.max()))
        self._set("logits_rows", wanted)
        self._session.run_with_iobinding(self._binding)

    def _set(self, name: str, value: NDArray[Any]) -> None:
        known = self._inputs.get(name)
        if known is not None and known.shape == value.shape:
            known[...] = value
            return
        self._inputs[name] = value
        self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value))


def _physical_cores() -> int:
    return max(1, min(psutil.cpu_count(logical=False) or 1, len(os.sched_getaffinity(0))))
