"""Graphs of tiny checkpoints, built and opened for the tests of the lowering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import GRAPH, Generation, Manifest, ModelShape, TextGeneration
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.job import Build
from export.pipeline import LOWERINGS
from export.presets import Preset
from export.quality.graph_runner import GraphRunner
from tests.checkpoints import CONTEXT_TOKENS, KV_HEADS, VOCABULARY, head_dim, make_tiny_checkpoint, tiny_tokenizer
from tests.installed import files_in

LAYERS = 2
TOKENS = tiny_tokenizer().get_vocab_size()


def build(
    folder: Path, preset: Preset, model_type: str = "qwen2", *, how: Build | None = None, **checkpoint: Any
) -> Path:
    """Lower a tiny checkpoint, for the preset's runtime unless it is said how; returns the folder of the graph."""
    source = make_tiny_checkpoint(folder / "checkpoint", model_type, **checkpoint)
    opened = open_checkpoint(files_in(source))
    graph = folder / "graph"
    graph.mkdir()
    lower = how or LOWERINGS[preset.runtime]
    lower(opened, describe(opened.config), preset, TOKENS, graph, lambda _done, _total: None)
    return graph


def load(graph: Path) -> onnx.ModelProto:
    """The graph without its weights."""
    return onnx.load(graph / GRAPH, load_external_data=False)


def runner(graph: Path, preset: Preset, model_type: str = "qwen2", *, tokens: int = TOKENS) -> GraphRunner:
    """The graph, opened on this machine's CPU."""
    return GraphRunner(graph, manifest(graph, preset, model_type, tokens=tokens), repack=False)


def manifest(graph: Path, preset: Preset, model_type: str = "qwen2", *, tokens: int = TOKENS) -> Manifest:
    """A manifest of the graph's files."""
    shape = ModelShape(LAYERS, KV_HEADS, head_dim(model_type), VOCABULARY, tokens, CONTEXT_TOKENS, preset.activations)
    files = tuple(file_entry(path) for path in sorted(graph.iterdir()))
    return Manifest(
        "tiny",
        "cuda-sm90",
        preset.name,
        "qwen2",
        TextGeneration(shape, Generation(())),
        files,
        {},
        runtime=preset.runtime,
    )
