"""The quality report of an embedding model: what its figures are, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from appliance.errors import IntegrityError, QualityError
from export.embedding.report import Material, Report, check_report
from tests.encoders import tiny_word_pieces
from tests.refusals import refused

MATERIAL = Material(("one", "two"), ((2, 4, 3), (2, 5, 6, 3)))
EXPECTED = np.array([[3.0, 4.0], [0.0, 2.0]])


def report(found: npt.NDArray[Any]) -> Report:
    with np.errstate(all="ignore"):
        return Report.of("the graph", "the reference", MATERIAL, found.astype(np.float32), EXPECTED)


def test_equal_vectors_differ_by_nothing():
    made = report(EXPECTED)
    assert made.is_kept
    figures = check_report(made.to_bytes(), "report.json")
    assert figures == made.summary()
    assert (figures["lowest_cosine"], figures["largest_difference"]) == (1.0, 0.0)
    assert (figures["texts"], figures["tokens"]) == (2, 7)


def test_the_figures_are_those_of_the_worst_text():
    made = report(np.array([[3.0, 4.0], [0.02, 2.0]]))
    assert made.summary()["lowest_cosine"] == pytest.approx(1 / np.hypot(1, 0.01), abs=1e-8)
    assert made.summary()["largest_difference"] == pytest.approx(0.01, abs=1e-6)
    assert json.loads(made.to_bytes())["texts"]["one"] == {"cosine": 1.0, "difference": 0.0}


@pytest.mark.parametrize(
    "found",
    [
        [[3.0, 4.0], [0.1, 2.0]],
        [[3.0, 4.0], [0.0, -2.0]],
        [[3.0, 4.0], [0.0, 2.2]],
        [[3.0, 4.0], [0.0, 0.0]],
        [[np.nan, 4.0], [0.0, 2.0]],
        [[3.0, np.inf], [0.0, 2.0]],
    ],
)
def test_a_vector_that_is_another_is_refused_with_the_place_of_the_report(found: Any):
    content = report(np.array(found)).to_bytes()
    assert json.loads(content)["tolerance"]["kept"] is False
    with refused(QualityError, 0.999) as caught:
        check_report(content, "/stages/report.json")
    assert "/stages/report.json" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"figures": {}, "tolerance": {"kept": true}}'])
def test_what_is_no_report_is_refused(content: bytes):
    with refused(IntegrityError, "report.json"):
        check_report(content, "report.json")


def test_the_texts_are_cut_at_the_limit_of_the_model_with_their_special_tokens():
    material = Material.of(tiny_word_pieces(), 12)
    assert len(material.names) == len(set(material.names)) == len(material.texts)
    assert {len(ids) for ids in material.texts} >= {12}
    for ids in material.texts:
        assert len(ids) <= 12
        assert (ids[0], ids[-1]) == (2, 3)
