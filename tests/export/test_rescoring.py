"""Presets whose head is coarse and whose likeliest tokens are scored again from finer rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import GRAPH, Generation, Manifest, ModelShape, TextGeneration
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.lowering import ort
from export.preflight import Needs
from export.presets import FLOAT, REFERENCE, Preset, Rescoring, Weights
from export.quality.graph_runner import GraphRunner
from tests.checkpoints import VOCABULARY, make_tiny_checkpoint
from tests.installed import files_in

FINE = Weights(bits=8, block=32)
COARSE = replace(REFERENCE, name="coarse", head=Weights(bits=4, block=64, accuracy_level=0), embedding=FINE)
TOKENS = 16
RESCORED = replace(COARSE, name="rescored", rescoring=Rescoring(TOKENS, FINE))
PROMPT = (65, 66, 67, 32, 68, 69)


def build(folder: Path, preset: Preset, *, tie: bool = False) -> tuple[Path, GraphRunner, Needs]:
    source = files_in(make_tiny_checkpoint(folder / "checkpoint", tie=tie))
    checkpoint = open_checkpoint(source)
    architecture = describe(checkpoint.config)
    graph = folder / preset.name
    graph.mkdir()
    ort.build(checkpoint, architecture, preset, VOCABULARY, graph, lambda _done, _total: None)
    attention = architecture.layers[0].attention
    shape = ModelShape(
        len(architecture.layers), attention.kv_heads, attention.head_dim, VOCABULARY, VOCABULARY, len(PROMPT)
    )
    files = tuple(file_entry(path) for path in sorted(graph.iterdir()))
    manifest = Manifest("tiny", "cpu", preset.name, architecture.name, TextGeneration(shape, Generation(())), files, {})
    return graph, GraphRunner(graph, manifest, repack=False), Needs.of(checkpoint, architecture, preset)


def logits(folder: Path, preset: Preset) -> npt.NDArray[np.float32]:
    _, runner, _ = build(folder, preset)
    return np.concatenate(list(runner.logits(PROMPT)))


def test_the_likeliest_tokens_get_finer_logits_and_the_others_keep_theirs(tmp_path: Path) -> None:
    # The embedding is that of the others, so that the head alone differs.
    exact = logits(tmp_path, replace(COARSE, name="exact", head=FLOAT))
    coarse = logits(tmp_path, COARSE)
    rescored = logits(tmp_path, RESCORED)
    likeliest = np.argsort(-coarse, axis=-1)[:, :TOKENS]
    changed = np.zeros_like(coarse, dtype=bool)
    np.put_along_axis(changed, likeliest, values=True, axis=-1)
    assert np.array_equal(rescored[~changed], coarse[~changed])
    assert np.abs(rescored - exact)[changed].max() < 0.2 * np.abs(coarse - exact)[changed].max()


def test_more_tokens_than_the_vocabulary_has_are_all_of_them(tmp_path: Path) -> None:
    exact = logits(tmp_path, replace(COARSE, name="exact", head=FLOAT))
    every = logits(tmp_path, replace(RESCORED, rescoring=Rescoring(10 * VOCABULARY, FINE)))
    assert every == pytest.approx(exact, abs=0.02 * float(np.abs(exact).max()))


@pytest.mark.parametrize("tie", [True, False])
def test_of_tied_embeddings_the_finer_rows_are_held_once_and_counted_once(tmp_path: Path, tie: bool) -> None:
    coarse, _, needs_coarse = build(tmp_path / "a", COARSE, tie=tie)
    rescored, _, needs_rescored = build(tmp_path / "b", RESCORED, tie=tie)
    added = _large(rescored) - _large(coarse)
    assert added == (set() if tie else {"lm_head.weight.rows8.32.packed", "lm_head.weight.rows8.32.scales"})
    assert (needs_rescored.output_bytes > needs_coarse.output_bytes) is not tie


def _large(graph: Path) -> set[str]:
    """Names of the tensors in the data file."""
    model = onnx.load(graph / GRAPH, load_external_data=False)
    return {tensor.name for tensor in model.graph.initializer if tensor.external_data}
