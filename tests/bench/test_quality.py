from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.workers.quality import compare, kl
from tests.bench.fakes import SteadyEngine

TEXTS = ((5, 6, 7), (8, 9))


def logits(rows: int, tokens: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, tokens)).astype(np.float32)


def reference(folder: Path, said: np.ndarray) -> Path:
    """What the export keeps when the checkpoint says `said`, [positions, tokens]."""
    exact = said - np.log(np.exp(said).sum(1, keepdims=True))
    np.save(folder / "log_probabilities.npy", exact.astype(np.float16))
    np.save(folder / "best.npy", said.argmax(1).astype(np.int32))
    return folder


def test_the_divergence_is_the_textbooks():
    expected, got = np.log(np.array([[0.5, 0.5]], np.float32)), np.log(np.array([[0.25, 0.75]], np.float32))
    assert kl(expected, got)[0] == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))


def test_logits_may_be_shifted():
    expected, got = logits(4, 9), logits(4, 9, seed=1)
    assert kl(expected, got + 7) == pytest.approx(kl(expected, got), abs=1e-6)


def test_an_engine_that_says_the_same_has_no_divergence(tmp_path: Path):
    said = logits(2, 11)
    figures = compare(SteadyEngine(said), TEXTS, reference(tmp_path, said[[0, 1, 0]]))
    assert figures["mean_kl"] == pytest.approx(0, abs=1e-5)
    assert (figures["top1_agreement"], figures["positions"]) == (1.0, 3.0)


def test_tokens_that_the_tokenizer_does_not_have_do_not_count(tmp_path: Path):
    said = logits(2, 11)
    padded = np.concatenate([said, np.full((2, 5), 50, np.float32)], axis=1)
    figures = compare(SteadyEngine(padded), TEXTS, reference(tmp_path, said[[0, 1, 0]]))
    assert figures["mean_kl"] == pytest.approx(0, abs=1e-5)


def test_an_engine_that_says_otherwise_diverges_and_disagrees(tmp_path: Path):
    said = np.array([[4, 0, 0], [4, 0, 0]], np.float32)
    figures = compare(SteadyEngine(-said), TEXTS, reference(tmp_path, said[[0, 1, 0]]))
    assert figures["mean_kl"] is not None
    assert figures["mean_kl"] > 1
    assert figures["top1_agreement"] == 0.0


def test_a_reference_of_other_texts_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="2 positions, the texts have 3"):
        compare(SteadyEngine(logits(2, 4)), TEXTS, reference(tmp_path, logits(2, 4)))
