"""Medians over rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.results import Measured


@dataclass(frozen=True)
class Spread:
    """A figure's median and range over rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Median, minimum and maximum; None without values."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def median(engine: Measured | None, figure: str) -> float | None:
    """The engine's median of a figure."""
    found = spread(engine.values(figure)) if engine else None
    return found.median if found else None
