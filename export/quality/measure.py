"""The arithmetic of the quality figures, on arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def log_probabilities(logits: Floats) -> Floats:
    """Log-softmax over the last axis."""
    shifted: Floats = logits - logits.max(-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(-1, keepdims=True))
    return shifted


def kl_divergence(reference: Floats, candidate: Floats) -> npt.NDArray[np.float64]:
    """KL(reference || candidate) in nats, for each row of log-probabilities; never below zero except for rounding."""
    divergence: npt.NDArray[np.float64] = (np.exp(reference) * (reference - candidate)).sum(-1, dtype=np.float64)
    return divergence


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """The number of equal leading elements."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))


@dataclass(frozen=True)
class Expected:
    """The reference's output at some positions.

    Attributes:
        log_probabilities: float32 [rows, tokens].
        best: int32 [rows], the likeliest token.
        following: float32 [rows], log-probability of the text's next token.
    """

    log_probabilities: Floats
    best: npt.NDArray[np.int32]
    following: Floats


@dataclass(frozen=True)
class Figures:
    """Sums over positions; figures of several texts can be added.

    Attributes:
        tokens: number of compared positions: each predicts the text's next token.
        kl: sum of KL(reference || candidate) in nats.
        agreed: positions at which both have the same likeliest token.
        reference_nll: sum of the reference's negative log-likelihoods of the next token.
        candidate_nll: the same sum for the candidate.
    """

    tokens: int = 0
    kl: float = 0.0
    agreed: int = 0
    reference_nll: float = 0.0
    candidate_nll: float = 0.0

    @classmethod
    def of(cls, expected: Expected, candidate: Floats, following: npt.NDArray[np.int64]) -> Figures:
        """Compare the candidate's log-probabilities, [rows, tokens], at the positions of `expected`.

        `following`, [rows], are the next tokens of the text.
        """
        rows = np.arange(len(following))
        return cls(
            tokens=len(rows),
            kl=float(kl_divergence(expected.log_probabilities, candidate).sum()),
            agreed=int((expected.best == candidate.argmax(-1)).sum()),
            reference_nll=-float(expected.following.sum(dtype=np.float64)),
            candidate_nll=-float(candidate[rows, following].sum(dtype=np.float64)),
        )

    @classmethod
    def sum(cls, parts: Iterable[Figures]) -> Figures:
        """Add figures."""
        total = cls()
        for part in parts:
            total = cls(
                total.tokens + part.tokens,
                total.kl + part.kl,
                total.agreed + part.agreed,
                total.reference_nll + part.reference_nll,
                total.candidate_nll + part.candidate_nll,
            )
        return total

    @property
    def mean_kl(self) -> float:
        """Mean KL divergence in nats per token."""
        return self.kl / self.tokens

    @property
    def top1_agreement(self) -> float:
        """Share of positions at which both have the same likeliest token."""
        return self.agreed / self.tokens

    @property
    def perplexity(self) -> float:
        """The candidate's perplexity on the texts."""
        return math.exp(self.candidate_nll / self.tokens)

    @property
    def reference_perplexity(self) -> float:
        """The reference's perplexity on the texts."""
        return math.exp(self.reference_nll / self.tokens)
