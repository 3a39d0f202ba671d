"""Medians over rounds, and the comparison with the appliance's targets."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.engines import ENGINE, LLAMA, WHOLE_PATH
from bench.results import Measured, Table


@dataclass(frozen=True)
class Spread:
    """A figure's median and range over rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Median, minimum and maximum; None without values."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class Standing:
    """The comparison with one target.

    Attributes:
        what: the compared figure.
        target: description of the target.
        found: description of the result; empty if it was not measured.
        is_met: whether the target is met; None if it was not measured.
    """

    what: str
    target: str
    found: str
    is_met: bool | None


@dataclass(frozen=True)
class Target:
    """A limit, and the function that computes the limited value from the main table."""

    what: str
    find: Callable[[Table], float | None]
    bound: float
    is_least: bool
    unit: str

    def standing(self, table: Table) -> Standing:
        """Compare the value with the limit."""
        target = f"at {'least' if self.is_least else 'most'} {self.bound:g}{self.unit}"
        found = self.find(table)
        if found is None:
            return Standing(self.what, target, "", None)
        is_met = found >= self.bound if self.is_least else found <= self.bound
        return Standing(self.what, target, f"{found:.3g}{self.unit}", is_met)


def median(engine: Measured | None, figure: str) -> float | None:
    """The engine's median of a figure."""
    found = spread(engine.values(figure)) if engine else None
    return found.median if found else None


def ratio(figure: str, ours: str, theirs: str) -> Callable[[Table], float | None]:
    """Return a function that computes the quotient of two engines' medians."""

    def find(table: Table) -> float | None:
        above, below = median(table.engine(ours), figure), median(table.engine(theirs), figure)
        return above / below if above is not None and below else None

    return find


def _added_kl(table: Table) -> float | None:
    engine = table.engine(ENGINE.key)
    return engine.quality.get("mean_kl") if engine else None


def _start_s(table: Table) -> float | None:
    return median(table.engine(WHOLE_PATH.key), "start_s")


def _own_megabytes(table: Table) -> float | None:
    found = median(table.engine(ENGINE.key), "own_bytes")
    return None if found is None else found / 1e6


_TIMES = " \N{MULTIPLICATION SIGN}"
_AGAINST_LLAMA = (ENGINE.key, LLAMA.key)
_AGAINST_ENGINE = (WHOLE_PATH.key, ENGINE.key)
TARGETS = (
    Target("added mean KL of the default preset", _added_kl, 0.01, is_least=False, unit=""),
    Target("engine against llama.cpp, 1 stream", ratio("decode_1", *_AGAINST_LLAMA), 1.35, is_least=True, unit=_TIMES),
    Target("engine against llama.cpp, 8 streams", ratio("decode_8", *_AGAINST_LLAMA), 2.0, is_least=True, unit=_TIMES),
    Target(
        "engine against llama.cpp, prefill", ratio("prefill_1000", *_AGAINST_LLAMA), 1.7, is_least=True, unit=_TIMES
    ),
    Target(
        "whole path against engine, 1 stream", ratio("decode_1", *_AGAINST_ENGINE), 0.85, is_least=True, unit=_TIMES
    ),
    Target(
        "whole path against engine, 8 streams", ratio("decode_8", *_AGAINST_ENGINE), 0.9, is_least=True, unit=_TIMES
    ),
    Target("`up` to first token, page cache warm", _start_s, 5.0, is_least=False, unit=" s"),
    Target("engine's memory beyond weights and cache", _own_megabytes, 300.0, is_least=False, unit=" MB"),
)


def standings(table: Table) -> tuple[Standing, ...]:
    """The comparison with all targets, for one model."""
    return tuple(target.standing(table) for target in TARGETS)
