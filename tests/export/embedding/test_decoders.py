"""Decoders that embed texts: graph and reference compute what transformers says, and what is read and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, processors

from appliance.artefact.folder import read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import Embedding
from appliance.errors import UnsupportedError
from appliance.layout import Layout
from export.checkpoint import open_checkpoint
from export.embedding.decoder_reference import last_states
from export.embedding.export import EmbeddingExport
from export.embedding.reference import reference_vectors
from export.lowering.decoder_embedder import build
from export.pipeline import export_model
from export.reading import architecture_of
from tests.checkpoints import make_tiny_checkpoint
from tests.decoder_embedders import END, PREFIX, TEXTS, make_tiny_decoder_embedder
from tests.export.embedding.folders import opened, write
from tests.export.progress import Steps
from tests.installed import files_in, install_checkpoint
from tests.refusals import refused

GOLDEN = Path(__file__).parents[2] / "golden" / "tiny-decoder-embedder.json"


def export_of(folder: Path) -> EmbeddingExport:
    return EmbeddingExport.of(opened(folder))


def vectors(graph: Path, texts: Any, pad: int = 0, extra: int = 0) -> Any:
    session = onnxruntime.InferenceSession(graph / "model.onnx", providers=["CPUExecutionProvider"])
    lengths = np.array([len(ids) for ids in texts], np.int32)
    width = int(lengths.max()) + extra
    ids = np.array([[*ids, *[pad] * (width - len(ids))] for ids in texts], np.int64)
    return session.run(["embedding"], {"input_ids": ids, "lengths": lengths})[0]


def built(export: EmbeddingExport, folder: Path) -> Path:
    folder.mkdir()
    export.build(folder, lambda _done, _total: None)
    return folder


@pytest.mark.parametrize("names", ["model.", ""])
def test_a_batch_gets_the_vectors_of_transformers(tmp_path: Path, names: str):
    export = export_of(make_tiny_decoder_embedder(tmp_path / "model", names=names))
    expected = np.array(json.loads(GOLDEN.read_bytes())["vectors"])
    graph = built(export, tmp_path / "graph")
    np.testing.assert_allclose(vectors(graph, TEXTS), expected, atol=5e-6)
    np.testing.assert_allclose(vectors(graph, TEXTS, pad=17, extra=5), expected, atol=5e-6)
    reference = reference_vectors(export.checkpoint, export.model, TEXTS, lambda _done, _total: None)
    np.testing.assert_allclose(reference, expected, atol=5e-6)


@pytest.mark.parametrize("kind", ["qwen2", "llama", "gemma3_text", "granite", "granitemoehybrid"])
def test_the_graph_of_each_family_agrees_with_the_reference(tmp_path: Path, kind: str):
    folder = make_tiny_checkpoint(tmp_path / "model", kind, tie=True)
    checkpoint = open_checkpoint(files_in(folder))
    architecture = architecture_of(checkpoint)
    (tmp_path / "graph").mkdir()
    build(checkpoint, architecture, tmp_path / "graph", lambda _done, _total: None, normalise=False)
    expected = last_states(checkpoint, architecture, TEXTS, lambda _done, _total: None)
    np.testing.assert_allclose(vectors(tmp_path / "graph", TEXTS), expected, atol=1e-4)


def test_the_settings_are_those_of_the_model(tmp_path: Path):
    task = export_of(make_tiny_decoder_embedder(tmp_path)).words().task
    assert task == Embedding(64, 512, "lasttoken", True, 320, (), (END,), {"query": PREFIX})


@pytest.mark.parametrize(
    ("config", "least"),
    [
        ({"is_matryoshka": True}, 1),
        ({"is_matryoshka": False}, None),
        ({"matryoshka_dimensions": [64, 16, 32]}, 16),
        ({"is_matryoshka": True, "matryoshka_dimensions": [32]}, 32),
    ],
)
def test_what_the_configuration_says_about_shorter_vectors_is_read(tmp_path: Path, config: Any, least: int | None):
    assert export_of(make_tiny_decoder_embedder(tmp_path, **config)).words().task.least_dimensions == least


@pytest.mark.parametrize(
    "config",
    [{"is_matryoshka": "yes"}, {"matryoshka_dimensions": 5}, {"matryoshka_dimensions": [65]}, {"novelty": 1}],
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, config: Any):
    with pytest.raises(UnsupportedError):
        export_of(make_tiny_decoder_embedder(tmp_path, **config))


@pytest.mark.parametrize("pooling", [{"pooling_mode": "mean"}, {"pooling_mode": "cls"}, {}])
def test_another_pooling_of_a_decoder_is_refused(tmp_path: Path, pooling: Any):
    folder = make_tiny_decoder_embedder(tmp_path)
    write(folder, "1_Pooling.config.json", pooling)
    with refused(UnsupportedError, "pooling"):
        export_of(folder)


def test_a_tokenizer_that_adds_no_last_token_is_refused(tmp_path: Path):
    folder = make_tiny_decoder_embedder(tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.ByteLevel()
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    with refused(UnsupportedError, "tokenizer.json"):
        export_of(folder).words()


def test_an_output_head_is_left_out_and_another_tensor_is_refused(tmp_path: Path):
    folder = make_tiny_decoder_embedder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "lm_head.weight": np.zeros((320, 64), np.float32)}, folder / "model.safetensors")
    export_of(folder)
    save_file({**weights, "model.score.weight": np.zeros((1, 64), np.float32)}, folder / "model.safetensors")
    with refused(UnsupportedError, "model.score.weight"):
        export_of(folder)


def test_the_whole_export_installs_an_artefact_that_passes_the_gate(tmp_path: Path):
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    install_checkpoint(layout, "tiny", files_in(make_tiny_decoder_embedder(tmp_path / "model", names="")))
    exported = export_model(layout, "tiny", "cpu", None, Steps())
    manifest = read_manifest(exported.folder)
    check_graph(exported.folder, manifest)
    assert (manifest.architecture, manifest.embedding.pooling) == ("qwen3", "lasttoken")
    assert manifest.quality["lowest_cosine"] > 0.999_999
