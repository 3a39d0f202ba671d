"""Rotary positions: the angle by which each position rotates each pair of elements, and its scaling to long contexts.

The formulas are those of transformers (modeling_rope_utils.py), computed in doubles.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

Frequencies = npt.NDArray[np.float64]
Table = npt.NDArray[np.float32]

_ROWS = 1 << 12
_DIGITS = 16


@dataclass(frozen=True)
class Linear:
    """Position interpolation: all frequencies are divided by `factor` (https://arxiv.org/abs/2306.15595)."""

    factor: float

    def scaled(self, plain: Frequencies, _theta: float) -> Frequencies:
        """The frequencies after scaling."""
        return plain / self.factor


@dataclass(frozen=True)
class Yarn:
    """YaRN: low frequencies are interpolated, high ones are kept (https://arxiv.org/abs/2309.00071).

    Attributes:
        factor: divisor of the interpolated frequencies.
        original_tokens: context length before the scaling.
        magnitude: factor of cosine and sine, so that scores are multiplied by its square.
        beta_fast: rotations within the original context from which a frequency is kept.
        beta_slow: rotations up to which a frequency is interpolated.
        truncate: round the limits of the ramp between both to whole pairs, outwards.
    """

    factor: float
    original_tokens: int
    magnitude: float
    beta_fast: float
    beta_slow: float
    truncate: bool

    def scaled(self, plain: Frequencies, theta: float) -> Frequencies:
        """The frequencies after scaling."""
        head_dim = 2 * len(plain)
        low, high = (self._pair(beta, head_dim, theta) for beta in (self.beta_fast, self.beta_slow))
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        # Both limits count pairs, but transformers compares the upper one with elements.
        low, high = max(low, 0), min(high, head_dim - 1)
        if low == high:
            high += 0.001
        interpolated = np.clip((np.arange(len(plain)) - low) / (high - low), 0, 1)
        return plain / self.factor * interpolated + plain * (1 - interpolated)

    def _pair(self, rotations: float, head_dim: int, theta: float) -> float:
        """The pair, as a fraction, that rotates this often within the original context."""
        return head_dim * math.log(self.original_tokens / (rotations * 2 * math.pi)) / (2 * math.log(theta))


@dataclass(frozen=True)
class Llama3:
    """Llama 3.1: frequencies of long waves are divided by `factor`, of short waves kept, between both interpolated.

    Attributes:
        factor: divisor of the frequencies of long waves.
        original_tokens: context length before the scaling.
        low: waves longer than the original context / `low` are long.
        high: waves shorter than the original context / `high` are short.
    """

    factor: float
    original_tokens: int
    low: float
    high: float

    def scaled(self, plain: Frequencies, _theta: float) -> Frequencies:
        """The frequencies after scaling."""
        waves = self.original_tokens * plain / (2 * math.pi)
        kept: Frequencies = np.clip((waves - self.low) / (self.high - self.low), 0, 1)
        scaled: Frequencies = plain / self.factor * (1 - kept) + plain * kept
        return scaled


@dataclass(frozen=True)
class Divided:
    """Each frequency has a divisor of its own: how GGUF files of Llama 3.1 and later store their scaling.

    Attributes:
        divisors: one for each pair of elements.
    """

    divisors: tuple[float, ...]

    @property
    def digest(self) -> str:
        """A few digits that differ for different divisors."""
        return hashlib.sha256(np.array(self.divisors, "<f8").tobytes()).hexdigest()[:_DIGITS]

    def scaled(self, plain: Frequencies, _theta: float) -> Frequencies:
        """The frequencies after scaling."""
        return plain / np.array(self.divisors, np.float64)


@dataclass(frozen=True)
class Rotary:
    """The rotation of queries and keys (half-split, "neox" style).

    Attributes:
        theta: base of the frequencies.
        scaling: extension to longer contexts, if there is one.
    """

    theta: float
    scaling: Linear | Yarn | Llama3 | Divided | None = None

    @property
    def name(self) -> str:
        """A name that differs for different rotations."""
        if self.scaling is None:
            return f"{self.theta:g}"
        if isinstance(self.scaling, Divided):
            return f"{self.theta:g}-divided-{self.scaling.digest}"
        kind = type(self.scaling).__name__.lower()
        return "-".join([f"{self.theta:g}", kind, *(f"{value:.17g}" for value in astuple(self.scaling))])

    def frequencies(self, head_dim: int) -> Frequencies:
        """Radians per position of each pair of elements, float64 [head_dim / 2]."""
        plain = np.power(self.theta, -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim))
        return plain if self.scaling is None else self.scaling.scaled(plain, self.theta)

    def tables(self, head_dim: int, tokens: int) -> tuple[Table, Table]:
        """Cosines and sines of all positions below `tokens`, float32 [tokens, head_dim / 2]."""
        frequencies = self.frequencies(head_dim)
        magnitude = self.scaling.magnitude if isinstance(self.scaling, Yarn) else 1.0
        cosines, sines = (np.empty((tokens, len(frequencies)), np.float32) for _ in range(2))
        # In pieces: the doubles of a long context would take four times the memory of a table.
        for begin in range(0, tokens, _ROWS):
            angles = np.outer(np.arange(begin, min(begin + _ROWS, tokens)), frequencies)
            cosines[begin : begin + _ROWS] = magnitude * np.cos(angles)
            sines[begin : begin + _ROWS] = magnitude * np.sin(angles)
        return cosines, sines
