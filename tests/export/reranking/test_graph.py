"""Graph and reference of a reranker compute what transformers says, whatever the padding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from export.checkpoint import open_checkpoint
from export.reranking.export import RerankingExport
from export.reranking.reference import reference_logits
from export.reranking.report import Material
from tests.cross_encoders import PAIRS, make_tiny_cross_encoder

GOLDEN = Path(__file__).parents[2] / "golden"
KINDS = ["bert", "xlm-roberta"]


def opened(folder: Path) -> RerankingExport:
    return RerankingExport.of(open_checkpoint({path.name: path for path in folder.iterdir()}))


def score(
    folder: Path, pairs: Sequence[tuple[list[int], int]], pad: int = 0, extra: int = 0
) -> npt.NDArray[np.float32]:
    """The logit of each pair, in one batch."""
    graph = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    lengths = np.array([len(ids) for ids, _ in pairs], np.int32)
    width = int(lengths.max()) + extra
    inputs = {
        "input_ids": np.array([[*ids, *[pad] * (width - len(ids))] for ids, _ in pairs], np.int64),
        "lengths": lengths,
        "first_lengths": np.array([first for _, first in pairs], np.int32),
    }
    return np.asarray(graph.run(["logit"], inputs)[0])


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def export(tmp_path: Path, kind: str) -> RerankingExport:
    return opened(make_tiny_cross_encoder(tmp_path / "model", kind))


@pytest.fixture
def graph(tmp_path: Path, export: RerankingExport) -> Path:
    folder = tmp_path / "graph"
    folder.mkdir()
    export.build(folder, lambda _done, _total: None)
    return folder


def test_a_batch_of_pairs_gets_the_logits_of_transformers(export: RerankingExport, graph: Path, kind: str):
    expected = np.array(json.loads((GOLDEN / f"tiny-cross-encoder-{kind}.json").read_bytes())["logits"])[:, None]
    np.testing.assert_allclose(score(graph, PAIRS[kind]), expected, atol=5e-6)
    ids, first_lengths = zip(*PAIRS[kind], strict=True)
    material = Material(("a", "b", "c"), tuple(map(tuple, ids)), first_lengths)
    reference = reference_logits(export.checkpoint, export.model, material, lambda _done, _total: None)
    np.testing.assert_allclose(reference, expected, atol=5e-6)


def test_padding_changes_nothing(graph: Path, kind: str):
    alone = np.concatenate([score(graph, [pair]) for pair in PAIRS[kind]])
    np.testing.assert_allclose(score(graph, PAIRS[kind], pad=0), alone, atol=1e-6)
    np.testing.assert_allclose(score(graph, PAIRS[kind], pad=17, extra=5), alone, atol=1e-6)


def test_the_second_text_has_a_type_of_its_own(graph: Path, kind: str):
    ids, first = PAIRS[kind][0]
    same = np.allclose(score(graph, [(ids, first)]), score(graph, [(ids, first - 1)]), atol=1e-6)
    assert same == (kind == "xlm-roberta")
