"""The quality figures against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from export.quality.measure import Expected, Figures, common_prefix, kl_divergence, log_probabilities


def test_log_probabilities_do_not_overflow_and_sum_to_one() -> None:
    logs = log_probabilities(np.array([[1000, 999, -1000], [0, 0, 0]], np.float32))
    np.testing.assert_allclose(np.exp(logs).sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(logs[1], -math.log(3), rtol=1e-6)


def test_kl_is_the_textbooks() -> None:
    p, q = np.array([[0.5, 0.25, 0.25]]), np.array([[0.25, 0.25, 0.5]])
    expected = float((p * np.log(p / q)).sum())
    found = kl_divergence(np.log(p).astype(np.float32), np.log(q).astype(np.float32))
    assert found == pytest.approx([expected], rel=1e-6)
    assert kl_divergence(np.log(p).astype(np.float32), np.log(p).astype(np.float32)) == [0]


def test_figures_count_agreement_and_perplexity() -> None:
    reference = log_probabilities(np.array([[3, 1, 0], [0, 1, 0]], np.float32))
    candidate = log_probabilities(np.array([[2, 1, 0], [1, 0, 0]], np.float32))
    following = np.array([0, 2])
    expected = Expected(reference, np.array([0, 1], np.int32), reference[[0, 1], following])
    figures = Figures.of(expected, candidate, following)
    assert (figures.tokens, figures.top1_agreement) == (2, 0.5)
    assert figures.perplexity == pytest.approx(math.exp(-(candidate[0, 0] + candidate[1, 2]) / 2))
    assert figures.reference_perplexity == pytest.approx(math.exp(-(reference[0, 0] + reference[1, 2]) / 2))
    assert figures.mean_kl == pytest.approx(kl_divergence(reference, candidate).mean())


def test_figures_of_texts_weigh_by_their_tokens() -> None:
    total = Figures.sum([Figures(tokens=1, kl=1.0, agreed=1), Figures(tokens=3, kl=0.0, agreed=1)])
    assert (total.tokens, total.mean_kl, total.top1_agreement) == (4, 0.25, 0.5)


@pytest.mark.parametrize(
    ("first", "second", "length"), [([1, 2, 3], [1, 2, 4], 2), ([1], [1, 2], 1), ([], [1], 0), ([2], [1], 0)]
)
def test_common_prefix(first: list[int], second: list[int], length: int) -> None:
    assert common_prefix(first, second) == length
