"""A new plan is compared with a reference in 32-bit floats. ONNX Runtime stands where the plan will: same graph."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from appliance.artefact.manifest import Manifest
from appliance.engine.float_reference import reference_logits
from appliance.engine.plan_smoke import compare
from appliance.errors import EngineError, QualityError
from tests.tensorrt.half_runner import HalfRunner
from tests.tensorrt.step_graph import VOCABULARY, make_plan_artefact

SHARP = 30.0
TOKENS = [3, 14, 15, 92, 65, 35, 89, 79]


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("smoke") / "artefact"
    return folder, make_plan_artefact(folder)


def test_a_graph_in_half_width_numbers_is_close_to_the_reference(artefact: tuple[Path, Manifest]):
    folder, manifest = artefact
    figures = compare(
        HalfRunner(folder, len(TOKENS)), TOKENS, reference_logits(folder, manifest.shape, TOKENS), VOCABULARY
    )
    assert figures.keys() == {"prefill_kl", "decode_kl"}
    assert all(0 <= figure < 1e-4 for figure in figures.values())
    # The weights are those of the artefact, and rounding shows.
    assert max(figures.values()) > 0


def test_a_plan_that_decodes_at_the_wrong_place_is_refused(artefact: tuple[Path, Manifest]):
    folder, manifest = artefact
    sharp = np.float32(SHARP)
    reference = sharp * reference_logits(folder, manifest.shape, TOKENS)
    assert compare(HalfRunner(folder, len(TOKENS), sharp=SHARP), TOKENS, reference, VOCABULARY)
    with pytest.raises(QualityError, match=r"does not answer like the reference: decode_kl is .*, at most 0\.05"):
        compare(HalfRunner(folder, len(TOKENS), forgets=True, sharp=SHARP), TOKENS, reference, VOCABULARY)


def test_a_graph_in_bfloat16_has_a_reference_where_the_cpu_does_not_compute_it(
    artefact: tuple[Path, Manifest], tmp_path: Path
):
    folder, manifest = artefact
    make_plan_artefact(tmp_path / "bf16", element=ml_dtypes.bfloat16)
    with pytest.raises(Exception, match="Could not find an implementation for MatMul"):
        HalfRunner(tmp_path / "bf16", len(TOKENS))
    bf16 = reference_logits(tmp_path / "bf16", manifest.shape, TOKENS)
    assert np.allclose(bf16, reference_logits(folder, manifest.shape, TOKENS), atol=0.02)


def test_numbers_that_are_none_are_refused(artefact: tuple[Path, Manifest]):
    folder, manifest = artefact
    reference = reference_logits(folder, manifest.shape, TOKENS)
    with pytest.raises(QualityError, match="prefill_kl is nan"):
        compare(HalfRunner(folder, len(TOKENS)), TOKENS, np.full_like(reference, np.nan), VOCABULARY)


def test_a_reference_that_cannot_be_computed_is_said(artefact: tuple[Path, Manifest]):
    folder, manifest = artefact
    with pytest.raises(EngineError, match="the reference cannot be computed"):
        reference_logits(folder, manifest.shape, [VOCABULARY + 1])
