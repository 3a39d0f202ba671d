"""The graph in 32-bit floats, the reference of every report, computes what transformers does on the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import Generation, Manifest, ModelShape, TextGeneration
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.lowering import ort
from export.presets import REFERENCE
from export.quality.graph_runner import GraphRunner
from tests.checkpoints import VOCABULARY, make_tiny_checkpoint
from tests.installed import files_in
from tests.oracle.models import SCALED, TINY

GOLDEN = Path(__file__).parents[2] / "golden"
MODELS = {**TINY, **SCALED}


@pytest.fixture(params=MODELS, scope="module")
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[GraphRunner, Any]:
    folder = tmp_path_factory.mktemp("reference")
    checkpoint = open_checkpoint(files_in(make_tiny_checkpoint(folder / "checkpoint", **MODELS[request.param])))
    architecture = describe(checkpoint.config)
    graph = folder / "graph"
    graph.mkdir()
    ort.build(checkpoint, architecture, REFERENCE, VOCABULARY, graph, lambda _done, _total: None)
    attention = architecture.layers[0].attention
    shape = ModelShape(
        len(architecture.layers),
        attention.kv_heads,
        attention.head_dim,
        architecture.vocabulary,
        architecture.vocabulary,
        architecture.context_tokens,
    )
    files = tuple(file_entry(path) for path in sorted(graph.iterdir()))
    manifest = Manifest("tiny", "cpu", "float32", architecture.name, TextGeneration(shape, Generation(())), files, {})
    golden = json.loads((GOLDEN / f"{request.param}.json").read_text(encoding="utf-8"))
    return GraphRunner(graph, manifest, repack=False), golden


def test_logits_are_transformers_logits(tiny: tuple[GraphRunner, Any]) -> None:
    runner, golden = tiny
    for prompt in golden["prompts"]:
        logits = np.concatenate([rows.copy() for rows in runner.logits(prompt["ids"])])
        assert len(logits) == len(prompt["ids"])
        for best in prompt["best"]:
            np.testing.assert_allclose(logits[best["row"], best["ids"]], best["logits"], atol=2e-4)
            assert np.argsort(-logits[best["row"]])[:3].tolist() == best["ids"][:3]


def test_greedy_tokens_are_transformers_tokens(tiny: tuple[GraphRunner, Any]) -> None:
    runner, golden = tiny
    prompts = [prompt["ids"] for prompt in golden["prompts"]]
    expected = [prompt["completion"] for prompt in golden["prompts"]]
    assert runner.greedy(prompts, len(expected[0])) == expected
    for prompt, completion in zip(prompts, expected, strict=True):
        assert runner.greedy([prompt], len(completion)) == [completion]


def test_a_long_text_in_pieces_equals_its_beginning_alone(tiny: tuple[GraphRunner, Any]) -> None:
    runner, _ = tiny
    ids = [7 * index % 300 for index in range(300)]
    whole = np.concatenate([rows.copy() for rows in runner.logits(ids)])
    beginning = np.concatenate([rows.copy() for rows in runner.logits(ids[:100])])
    np.testing.assert_allclose(whole[:100], beginning, atol=1e-4)
    assert len(whole) == 300
