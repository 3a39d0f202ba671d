"""The measurement of a chat model beside an embedding model: a short one over a real box with tiny models."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.served_set.page import page
from bench.served_set.run import Measured, Options, Policy, measure, percentile
from tests.tiny_artefact import make_tiny_artefact
from tests.tiny_embedder import make_tiny_embedder

CHAT, EMBEDDER = "chat", "tiny-embedder"


@pytest.mark.triton
def test_a_short_measurement_has_all_figures_of_each_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The tiny embedder takes shorter texts.
    monkeypatch.setattr("bench.served_set.run._TEXT_TOKENS", 8)
    artefacts = {
        CHAT: make_tiny_artefact(tmp_path / CHAT / "cpu-balanced", tmp_path / "scratch", CHAT),
        EMBEDDER: make_tiny_embedder(tmp_path / EMBEDDER / "cpu-float32"),
    }
    policies = [Policy("each: 1", chat=1, embedder=1)]
    options = Options(CHAT, EMBEDDER, policies, rounds=1, tokens=24, embedding_s=0.2)
    lines: list[str] = []
    measured = measure(artefacts, 0, tmp_path / "engines", options, lines.append)
    (found,) = measured.values()
    for rates in (found.alone, found.idle, found.busy, found.texts, found.overhead_bytes):
        assert len(rates) == 1
        assert rates[0] > 0
    assert len(lines) == 1
    assert "each: 1" in page({"CPU": "a"}, measured)


def test_the_page_compares_with_the_chat_model_alone():
    found = Measured([10.0], [9.8], [5.0], [0.1, 0.1], [0.2, 0.3], [100.0], [50.0], [150_000_000])
    text = page({"CPU": "a"}, {"both": found})
    assert "9.8 (0.98)" in text
    assert "5.0 (0.50)" in text
    assert "150 MB" in text


def test_a_percentile_of_a_single_value_is_the_value():
    assert percentile([3.0], 99) == 3.0
