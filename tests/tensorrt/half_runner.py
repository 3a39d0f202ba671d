"""A runner of the small graph on the CPU, where a plan's would be: the graph as it was exported, half-width and all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from appliance.engine.logits import HostLogits
from tests.tensorrt.step_graph import HEAD_DIM, KV_HEADS, LAYERS


class HalfRunner:
    """One slot.

    Args:
        folder: of the artefact.
        rows: of the cache.
        forgets: a decoded token is written where the prompt begins.
        sharp: what the logits are multiplied by, since random weights give flat ones.
    """

    def __init__(self, folder: Path, rows: int, *, forgets: bool = False, sharp: float = 1.0) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        shape = (1, KV_HEADS, rows, HEAD_DIM)
        names = [f"{layer}.{part}" for layer in range(LAYERS) for part in ("key", "value")]
        self._cache = {name: np.zeros(shape, np.float16) for name in names}
        self._forgets, self._sharp = forgets, sharp

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> HostLogits:
        assert slot == 0
        return HostLogits(self._step(tokens, start))

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> HostLogits:
        return HostLogits(self._step(tokens, 0 if self._forgets else lengths[0]))

    def _step(self, tokens: Sequence[int], start: int) -> NDArray[np.float32]:
        feeds = {f"past_key_values.{name}": array for name, array in self._cache.items()}
        feeds |= {
            "input_ids": np.array([tokens], np.int64),
            "write_indices": np.array([start], np.int64),
            "logits_rows": np.array([len(tokens) - 1], np.int64),
        }
        logits, *cache = self._session.run(["logits", *(f"present.{name}" for name in self._cache)], feeds)
        self._cache = dict(zip(self._cache, cache, strict=True))
        return logits * self._sharp
