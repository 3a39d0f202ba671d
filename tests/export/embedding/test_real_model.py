"""The export of the real embedding model against what transformers says about the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.tokenizer import load_tokenizer
from export.pooling.graph_runner import GraphRunner
from tests.real_model import EMBEDDER, artefact_of, prepared_layout

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def folder() -> Path:
    return artefact_of(prepared_layout(EMBEDDER), EMBEDDER, "float32")


@pytest.fixture(scope="module")
def texts() -> list[dict[str, Any]]:
    golden = Path(__file__).parents[2] / "golden" / f"{EMBEDDER}.json"
    return list(json.loads(golden.read_text(encoding="utf-8"))["texts"])


def test_the_tokenizer_gives_transformers_ids(folder: Path, texts: list[dict[str, Any]]):
    tokenizer = load_tokenizer((folder / "tokenizer.json").read_bytes())
    for text in texts:
        assert tokenizer.encode(text["text"]).ids == text["ids"], text["text"]
    # Published with a truncation to 128 tokens.
    assert max(len(text["ids"]) for text in texts) > 128


def test_a_batch_gets_the_vectors_of_transformers(folder: Path, texts: list[dict[str, Any]]):
    found = GraphRunner(folder, read_manifest(folder)).rows([text["ids"] for text in texts])
    np.testing.assert_allclose(found, [text["embedding"] for text in texts], atol=2e-6)


def test_the_manifest_has_the_settings_of_the_publisher(folder: Path):
    task = read_manifest(folder).embedding
    assert (task.dimensions, task.max_tokens, task.pooling, task.normalised) == (384, 256, "mean", True)
    assert (task.vocabulary, task.first_token_ids, task.last_token_ids) == (30522, (101,), (102,))
    assert task.prefixes == {}


def test_the_quality_report_is_almost_exact(folder: Path):
    quality = read_manifest(folder).quality
    assert quality["lowest_cosine"] > 0.999_999
    assert quality["largest_difference"] < 1e-5
