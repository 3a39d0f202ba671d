"""Sentence encoders: the graph computes what transformers says, whatever the padding; wrong folders are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

from appliance.errors import IntegrityError, UnsupportedError
from export.checkpoint import open_checkpoint
from export.encoder import encoder_of, pooling_of
from export.lowering.encoder import build
from tests.encoders import TEXTS, make_tiny_encoder

GOLDEN = Path(__file__).parents[1] / "golden"
KINDS = ("bert", "xlm-roberta")


def files_of(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.iterdir()}


def session(folder: Path, output: Path) -> onnxruntime.InferenceSession:
    output.mkdir()
    checkpoint = open_checkpoint(files_of(folder))
    encoder = encoder_of(checkpoint)
    build(checkpoint, encoder, pooling_of(checkpoint.files, encoder), output)
    return onnxruntime.InferenceSession(output / "model.onnx", providers=["CPUExecutionProvider"])


def embed(
    graph: onnxruntime.InferenceSession, texts: list[list[int]], pad: int = 0, extra: int = 0
) -> npt.NDArray[np.float32]:
    lengths = np.array([len(ids) for ids in texts], np.int32)
    width = int(lengths.max()) + extra
    ids = np.array([[*ids, *[pad] * (width - len(ids))] for ids in texts], np.int64)
    return np.asarray(graph.run(None, {"input_ids": ids, "lengths": lengths})[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("mode", "golden"), [("mean_tokens", "mean"), ("cls_token", "cls")])
@pytest.mark.parametrize("normalise", [True, False])
def test_a_batch_of_texts_gets_the_embeddings_of_transformers(
    tmp_path: Path, kind: str, mode: str, golden: str, normalise: bool
):
    expected = np.array(json.loads((GOLDEN / f"tiny-encoder-{kind}.json").read_bytes())[golden])
    if normalise:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    graph = session(make_tiny_encoder(tmp_path / "model", kind, mode=mode, normalise=normalise), tmp_path / "graph")
    np.testing.assert_allclose(embed(graph, list(TEXTS)), expected, atol=5e-6)


@pytest.mark.parametrize("mode", ["mean_tokens", "cls_token"])
def test_padding_changes_nothing(tmp_path: Path, mode: str):
    graph = session(make_tiny_encoder(tmp_path / "model", mode=mode), tmp_path / "graph")
    alone = np.concatenate([embed(graph, [ids]) for ids in TEXTS])
    np.testing.assert_allclose(embed(graph, list(TEXTS), pad=0), alone, atol=1e-6)
    np.testing.assert_allclose(embed(graph, list(TEXTS), pad=17, extra=5), alone, atol=1e-6)


def test_the_pooling_and_the_limit_are_read(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path, mode="cls_token", normalise=False)
    checkpoint = open_checkpoint(files_of(folder))
    pooling = pooling_of(checkpoint.files, encoder_of(checkpoint))
    assert (pooling.mode, pooling.normalise, pooling.max_tokens) == ("cls", False, 32)


def test_without_a_stated_limit_the_positions_are_the_limit(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path, "xlm-roberta")
    (folder / "sentence_bert_config.json").unlink()
    checkpoint = open_checkpoint(files_of(folder))
    assert pooling_of(checkpoint.files, encoder_of(checkpoint)).max_tokens == 38


def test_positions_that_are_stored_as_integers_are_left_out(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.position_ids"] = np.arange(40)[None]
    weights["pooler.dense.bias"] = np.zeros(32, np.float32)
    save_file(weights, folder / "model.safetensors")
    assert embed(session(folder, tmp_path / "graph"), list(TEXTS)).shape == (4, 32)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model_type": "t5"},
        {"hidden_act": "gelu_new"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"num_attention_heads": 5},
        {"novelty": 1},
        {"hidden_size": 64},
        {"max_position_embeddings": 80},
        {"num_hidden_layers": 1},
        {"num_hidden_layers": 3},
        {"model_type": "xlm-roberta", "pad_token_id": 40},
    ],
)
def test_a_configuration_that_the_graph_would_not_follow_is_refused(tmp_path: Path, wrong: dict[str, Any]):
    checkpoint = open_checkpoint(files_of(make_tiny_encoder(tmp_path, **wrong)))
    with pytest.raises(UnsupportedError):
        encoder_of(checkpoint)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("modules.json", None, UnsupportedError),
        ("modules.json", [{"type": "a.Transformer"}, {"type": "a.Pooling"}, {"type": "a.Dense"}], UnsupportedError),
        ("modules.json", [{}], IntegrityError),
        ("modules.json", 5, IntegrityError),
        ("1_Pooling.config.json", None, UnsupportedError),
        ("1_Pooling.config.json", {"pooling_mode_max_tokens": True}, UnsupportedError),
        (
            "1_Pooling.config.json",
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            UnsupportedError,
        ),
        ("1_Pooling.config.json", [], IntegrityError),
        ("sentence_bert_config.json", {"max_seq_length": 41}, UnsupportedError),
        ("sentence_bert_config.json", {"max_seq_length": True}, UnsupportedError),
    ],
)
def test_a_pooling_that_the_graph_would_not_follow_is_refused(
    tmp_path: Path, name: str, content: Any, error: type[Exception]
):
    folder = make_tiny_encoder(tmp_path)
    checkpoint = open_checkpoint(files_of(folder))
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(error):
        pooling_of(files_of(folder), encoder_of(checkpoint))
