"""A new plan is compared with a reference in 32-bit floats. ONNX Runtime stands where the plan will: same graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from appliance.artefact.manifest import Manifest
from appliance.engine.float_reference import reference_logits
from appliance.engine.logits import HostLogits
from appliance.engine.plan_smoke import MOST_KL, compare
from appliance.errors import EngineError, QualityError
from tests.tensorrt.step_graph import HEAD_DIM, KV_HEADS, LAYERS, VOCABULARY, make_plan_artefact

SHARP = 30.0
TOKENS = [3, 14, 15, 92, 65, 35, 89, 79]


class HalfRunner:
    """The graph as it was exported, half-width numbers and all, on the CPU.

    Args:
        folder: of the artefact.
        forgets: a decoded token is written where the prompt begins.
        sharp: what the logits are multiplied by, since random weights give flat ones.
    """

    def __init__(self, folder: Path, forgets: bool = False, sharp: float = 1.0) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        shape = (1, KV_HEADS, len(TOKENS), HEAD_DIM)
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


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("smoke") / "artefact"
    return folder, make_plan_artefact(folder)


def test_a_graph_in_half_width_numbers_is_close_to_the_reference(artefact: tuple[Path, Manifest]):
    folder, manifest = artefact
    figures = compare(HalfRunner(folder), TOKENS, reference_logits(folder, manifest.shape, TOKENS), VOCABULARY)
    assert figures.keys() == {"prefill_kl", "decode_kl"}
    assert all(0 <= figure < 1e-4 for figure in figures.values())
    # The weights are those of the artefact, and rounding shows.
    assert max(figures.values()) > 0


def test_a_plan_that_decodes_at_the_wrong_place_is_refused(artefact: tuple[Path, Manifest]):
    folder, manifest = artefact
    sharp = np.float32(SHARP)
    reference = sharp * reference_logits(folder, manifest.shape, TOKENS)
    assert compare(HalfRunner(folder, sharp=SHARP), TOKENS, reference, VOCABULARY)
    with pytest.raises(QualityError, match=r"does not answer like the reference: decode_kl is .*, at most 0\.05"):
        compare(HalfRunner(folder, forgets=True, sharp=SHARP), TOKENS, reference, VOCABULARY)


def test_a_graph_in_bfloat16_has_a_reference_where_the_cpu_does_not_compute_it(
    artefact: tuple[Path, Manifest], tmp_path: Path
):
    folder, manifest = artefact
    make_plan_artefact(tmp_path / "bf16", element=ml_dtypes.bfloat16)
    with pytest.raises(Exception, match="Could not find an implementation for MatMul"):
        HalfRunner(tmp_path / "bf16")
    bf16 = reference_logits(tmp_path / "bf16", manifest.shape, TOKENS)
    assert np.allclose(bf16, reference_logits(folder, manifest.shape, TOKENS), atol=0.02)


def test_numbers_that_are_none_are_refused(artefact: tuple[Path, Manifest]):
    folder, manifest = artefact
    reference = reference_logits(folder, manifest.shape, TOKENS)
    with pytest.raises(QualityError, match="prefill_kl is nan"):
        compare(HalfRunner(folder), TOKENS, np.full_like(reference, np.nan), VOCABULARY)
    assert MOST_KL > 0


def test_a_reference_that_cannot_be_computed_is_said(artefact: tuple[Path, Manifest]):
    folder, manifest = artefact
    with pytest.raises(EngineError, match="the reference cannot be computed"):
        reference_logits(folder, manifest.shape, [VOCABULARY + 1])
