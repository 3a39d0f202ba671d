"""Graph and reference of a sentence encoder compute what transformers says, whatever the padding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

from export.embedding.reading import EmbeddingModel
from export.embedding.reference import reference_vectors
from export.lowering.encoder import build
from tests.encoders import TEXTS, make_tiny_encoder
from tests.export.embedding.folders import opened, read

GOLDEN = Path(__file__).parents[2] / "golden"
MODES = [("mean_tokens", "mean"), ("cls_token", "cls")]


def session(folder: Path, output: Path) -> onnxruntime.InferenceSession:
    output.mkdir()
    model = read(folder)
    build(opened(folder), model.body, model.pooling, output, lambda _done, _total: None)
    return onnxruntime.InferenceSession(output / "model.onnx", providers=["CPUExecutionProvider"])


def embed(
    graph: onnxruntime.InferenceSession, texts: list[list[int]], pad: int = 0, extra: int = 0
) -> npt.NDArray[np.float32]:
    lengths = np.array([len(ids) for ids in texts], np.int32)
    width = int(lengths.max()) + extra
    ids = np.array([[*ids, *[pad] * (width - len(ids))] for ids in texts], np.int64)
    return np.asarray(graph.run(None, {"input_ids": ids, "lengths": lengths})[0])


def golden(kind: str, mode: str, *, normalise: bool) -> npt.NDArray[np.float64]:
    vectors = np.array(json.loads((GOLDEN / f"tiny-encoder-{kind}.json").read_bytes())[mode])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) if normalise else vectors


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
@pytest.mark.parametrize(("mode", "name"), MODES)
@pytest.mark.parametrize("normalise", [True, False])
def test_a_batch_of_texts_gets_the_vectors_of_transformers(
    tmp_path: Path, kind: str, mode: str, name: str, normalise: bool
):
    folder = make_tiny_encoder(tmp_path / "model", kind, mode=mode, normalise=normalise)
    expected = golden(kind, name, normalise=normalise)
    np.testing.assert_allclose(embed(session(folder, tmp_path / "graph"), list(TEXTS)), expected, atol=5e-6)
    reference = reference_vectors(opened(folder), read(folder), TEXTS, lambda _done, _total: None)
    np.testing.assert_allclose(reference, expected, atol=5e-6)


@pytest.mark.parametrize("mode", ["mean_tokens", "cls_token"])
def test_padding_changes_nothing(tmp_path: Path, mode: str):
    graph = session(make_tiny_encoder(tmp_path / "model", mode=mode), tmp_path / "graph")
    alone = np.concatenate([embed(graph, [ids]) for ids in TEXTS])
    np.testing.assert_allclose(embed(graph, list(TEXTS), pad=0), alone, atol=1e-6)
    np.testing.assert_allclose(embed(graph, list(TEXTS), pad=17, extra=5), alone, atol=1e-6)


def test_positions_that_are_stored_as_integers_and_the_head_are_left_out(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.position_ids"] = np.arange(40)[None]
    weights["pooler.dense.bias"] = np.zeros(32, np.float32)
    save_file(weights, folder / "model.safetensors")
    assert isinstance(read(folder), EmbeddingModel)
    np.testing.assert_allclose(
        embed(session(folder, tmp_path / "graph"), list(TEXTS)), golden("bert", "mean", normalise=True), atol=5e-6
    )
