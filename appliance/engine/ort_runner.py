"""Runs the artefact's graph with ONNX Runtime on the CPU. It checks no artefact: the gate comes first.

Past and present are bound to the same memory, so a step writes its rows in place and copies nothing. A binding holds
its tensors' addresses, so each is made once: one a batch size for decoding, one a slot for prefill.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
from numpy.typing import NDArray

from appliance.artefact import ModelShape
from appliance.engine.kv_cache import KVCache
from appliance.errors import EngineError


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
        self._cache = KVCache(shape, slots, capacity)
        self._logits = np.empty((slots, shape.vocabulary), np.float32)
        self._decoders: dict[int, _Binding] = {}
        self._prefillers: dict[int, _Binding] = {}

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> NDArray[np.float32]:
        """See `Runner`."""
        binding = self._prefillers.get(slot) or self._prefillers.setdefault(slot, self._bind(slot, 1))
        count = len(tokens)
        self._check_rows(start + count)
        binding.feed(np.array([tokens], np.int64), np.array([start + count], np.int32), np.array([count - 1], np.int64))
        return self._run(binding)

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> NDArray[np.float32]:
        """See `Runner`."""
        rows = len(tokens)
        binding = self._decoders.get(rows) or self._decoders.setdefault(rows, self._bind(0, rows))
        self._check_rows(max(lengths) + 1)
        binding.feed(np.array(tokens, np.int64)[:, None], np.array(lengths, np.int32) + 1, np.arange(rows))
        return self._run(binding)

    def copy(self, source: int, target: int, rows: int) -> None:
        """See `Runner`."""
        self._cache.copy(source, target, rows)

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """See `Runner`."""
        self._cache.swap(first, first_rows, second, second_rows)

    def release(self, slot: int, keep_rows: int) -> None:
        """See `Runner`."""
        self._cache.release(slot, keep_rows)

    def _bind(self, first: int, rows: int) -> _Binding:
        return _Binding(self._session, self._cache, first, rows, self._logits[:rows])

    def _check_rows(self, rows: int) -> None:
        """The kernel would write past the slot, so no length reaches it unchecked."""
        if not 0 < rows <= self._capacity:
            raise EngineError(f"a step would need {rows} rows of a slot that holds {self._capacity}")

    def _run(self, binding: _Binding) -> NDArray[np.float32]:
        try:
            binding.run()
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            raise EngineError(f"ONNX Runtime failed in a step: {error}") from error
        return binding.logits


class _Binding:
    """The tensors of one kind of launch, bound once; only inputs of a new shape are bound again."""

    def __init__(self, session: Any, cache: KVCache, first: int, rows: int, logits: NDArray[np.float32]) -> None:
        self.logits = logits
        self._session = session
        self._binding = session.io_binding()
        self._inputs: dict[str, NDArray[Any]] = {}
        # The logits come first: bound after the cache they would be missing from the outputs.
        self._binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(logits))
        for name, buffer in zip(cache.names, cache.view(first, rows), strict=True):
            value = ort.OrtValue.ortvalue_from_numpy(buffer)
            self._binding.bind_ortvalue_input(f"past_key_values.{name}", value)
            self._binding.bind_ortvalue_output(f"present.{name}", value)

    def feed(self, ids: NDArray[np.int64], totals: NDArray[np.int32], wanted: NDArray[np.int64]) -> None:
        """Set the inputs: token ids [rows, length], rows of each slot after the step, wanted rows of the logits."""
        self._set("input_ids", ids)
        self._set("seqlens_k", totals - np.int32(1))
        self._set("total_sequence_length", np.array(totals.max()))
        self._set("logits_rows", wanted)

    def run(self) -> None:
        """Run the graph; the logits lie in `logits` afterwards."""
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
