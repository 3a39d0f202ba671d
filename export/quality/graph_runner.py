"""Runs an exported graph with ONNX Runtime to measure it: next-token logits of a text, greedy continuations.

It has no sampling, admission or end tokens: serving is the engine's task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import GRAPH, Manifest
from appliance.onnx_runtime import ort
from export.quality.measure import Floats

# Rows whose logits are computed at once, 156 MB at 151,936 tokens; and rows that are yielded at once.
_CHUNK_TOKENS = 256
_ROWS_AT_ONCE = 64
_WARNINGS_OFF = 3


class GraphRunner:
    """One graph in a session."""

    def __init__(self, folder: Path, manifest: Manifest, *, repack: bool) -> None:
        """Open the graph after `check_graph`.

        Args:
            folder: contains exactly the files of `manifest`.
            manifest: the folder's manifest; it need not be on disk.
            repack: let ONNX Runtime rearrange weights for speed, as in serving. Otherwise they stay in the mapped file,
                which uses the kernel's page cache instead of process memory.

        Raises:
            IntegrityError, UnsafeFormatError, UnsupportedError: see `check_graph`.
        """
        check_graph(folder, manifest)
        options = ort.SessionOptions()
        options.log_severity_level = _WARNINGS_OFF
        options.add_session_config_entry("session.disable_prepacking", "0" if repack else "1")
        self._session = ort.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
        self._shape = manifest.shape

    def logits(self, ids: Sequence[int]) -> Iterator[Floats]:
        """Yield the logits after each token of `ids`, float32 [rows, tokens of the tokenizer], some rows at a time."""
        cache = self._empty_cache(1, len(ids))
        for start in range(0, len(ids), _CHUNK_TOKENS):
            chunk = ids[start : start + _CHUNK_TOKENS]
            logits = self._run([chunk], [start], range(len(chunk)), cache)
            for row in range(0, len(logits), _ROWS_AT_ONCE):
                yield logits[row : row + _ROWS_AT_ONCE]

    def greedy(self, prompts: Sequence[Sequence[int]], count: int) -> list[list[int]]:
        """Return the `count` tokens that greedy decoding adds to each prompt; end tokens do not stop it.

        Prompts are prefilled one by one and decoded together, as in the engine: each step reads the weights once.
        """
        cache = self._empty_cache(len(prompts), max(map(len, prompts)) + count)
        added = []
        for row, ids in enumerate(prompts):
            own = {name: past[row : row + 1] for name, past in cache.items()}
            added.append([int(self._run([ids], [0], [len(ids) - 1], own)[0].argmax())])
        for step in range(count - 1):
            positions = [len(ids) + step for ids in prompts]
            logits = self._run([tokens[-1:] for tokens in added], positions, range(len(prompts)), cache)
            for tokens, best in zip(added, logits.argmax(-1), strict=True):
                tokens.append(int(best))
        return added

    def values(self, ids: Sequence[int], prefix: str) -> Iterator[tuple[str, Floats]]:
        """Yield name and value of each output with this prefix, for each chunk of `ids`."""
        names = [output.name for output in self._session.get_outputs() if output.name.startswith(prefix)]
        cache = self._empty_cache(1, len(ids))
        for start in range(0, len(ids), _CHUNK_TOKENS):
            chunk = ids[start : start + _CHUNK_TOKENS]
            yield from zip(names, self._outputs(names, [chunk], [start], [len(chunk) - 1], cache), strict=True)

    def _empty_cache(self, rows: int, capacity: int) -> dict[str, Floats]:
        shape = (rows, self._shape.kv_heads, capacity, self._shape.head_dim)
        return {
            f"past_key_values.{layer}.{part}": np.zeros(shape, np.float32)
            for layer in range(self._shape.layers)
            for part in ("key", "value")
        }

    def _run(
        self, ids: Sequence[Sequence[int]], positions: Sequence[int], rows: Sequence[int], cache: dict[str, Floats]
    ) -> Floats:
        """Run rows with the same number of tokens; row i begins at `positions[i]`. Updates the cache in place."""
        (logits,) = self._outputs(["logits"], ids, positions, rows, cache)
        return logits[:, : self._shape.tokens]

    def _outputs(
        self,
        names: Sequence[str],
        ids: Sequence[Sequence[int]],
        positions: Sequence[int],
        rows: Sequence[int],
        cache: dict[str, Floats],
    ) -> list[Floats]:
        """Run like `_run`, and return the outputs of these names."""
        totals = np.array(positions, np.int32) + len(ids[0])
        binding = self._session.io_binding()
        binding.bind_cpu_input("input_ids", np.array(ids, np.int64))
        binding.bind_cpu_input("seqlens_k", totals - 1)
        binding.bind_cpu_input("total_sequence_length", np.array(totals.max(), np.int32))
        binding.bind_cpu_input("logits_rows", np.array(rows, np.int64))
        for name in names:
            binding.bind_output(name, "cpu")
        for name, past in cache.items():
            value = ort.OrtValue.ortvalue_from_numpy(past)
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(name.replace("past_key_values", "present"), value)
        self._session.run_with_iobinding(binding)
        return [output.numpy() for output in binding.get_outputs()[: len(names)]]
