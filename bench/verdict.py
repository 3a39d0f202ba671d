"""Judges a run by the targets: for each row our figure, the best peer's, their ratio, and whether the target is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.engines import ENGINE, ENGINES, LLAMA
from bench.figures import NOTHING
from bench.results import Measured, Results, Table
from bench.summary import median
from bench.targets import PEER_KL, TARGETS_OF, Against, Target

_PEERS = frozenset(engine.key for engine in ENGINES if engine.weight_format)
_TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Verdict:
    """One row of the verdict.

    Attributes:
        what: title of the row.
        ours: our figure, with its KL divergence; "-" if it was not measured.
        opponent: the opponent's figure, with its name and KL divergence.
        ratio: our figure divided by the opponent's.
        target: the target.
        is_met: whether the target is met; None if a figure was not measured.
        missed_by: by which share of the limit our figure misses the limit; 0 if the target is met.
    """

    what: str
    ours: str
    opponent: str
    ratio: str
    target: str
    is_met: bool | None
    missed_by: float = 0.0

    @property
    def verdict(self) -> str:
        """The verdict as text."""
        if self.is_met is None:
            return "not measured"
        return "met" if self.is_met else f"**missed by {self.missed_by:.1%}**"


def verdicts(results: Results) -> dict[str, tuple[Verdict, ...]]:
    """The verdicts by model. Models without targets, or without a main table, have none."""
    models = dict.fromkeys(table.model for table in results.tables if table.kind == "main")
    return {
        model: tuple(
            judge(target, [table for table in results.tables if table.model == model]) for target in TARGETS_OF[model]
        )
        for model in models
        if model in TARGETS_OF
    }


def left_out(tables: Sequence[Table]) -> list[Measured]:
    """The peers of one model whose KL divergence is too large, or unknown, for a fair comparison."""
    found = {engine.key: engine for table in tables for engine in table.engines if engine.rounds}
    return [engine for key, engine in found.items() if key in _PEERS and not _is_fair(engine)]


def judge(target: Target, tables: Sequence[Table]) -> Verdict:
    """Judge one row for one model, given the model's tables."""
    table = next((table for table in tables if table.kind == target.kind), None)
    ours = table.engine(target.ours) if table else None
    value = _value(ours, target.figure)
    if target.against is Against.NOBODY:
        return _verdict(target, ours, value, None, target.bound)
    opponent = _opponent(target, table) if table else None
    theirs = _value(opponent, target.figure)
    limit = None if theirs is None else target.bound * theirs + target.slack
    return _verdict(target, ours, value, opponent, limit)


def _verdict(
    target: Target, ours: Measured | None, value: float | None, opponent: Measured | None, limit: float | None
) -> Verdict:
    theirs = _value(opponent, target.figure)
    row = Verdict(
        what=target.what,
        ours=_cell(target, ours, value),
        opponent=NOTHING if target.against is Against.NOBODY else _cell(target, opponent, theirs, is_named=True),
        ratio=NOTHING if value is None or not theirs else f"{value / theirs:.2f} {_TIMES}",
        target=_target(target),
        is_met=None,
    )
    if value is None or limit is None:
        return row
    miss = (limit - value if target.is_rate else value - limit) / limit
    return Verdict(row.what, row.ours, row.opponent, row.ratio, row.target, miss <= 0, max(0.0, miss))


def _opponent(target: Target, table: Table) -> Measured | None:
    if target.against is Against.LLAMA:
        return table.engine(LLAMA.key)
    if target.against is Against.ENGINE:
        return table.engine(ENGINE.key)
    fair = [engine for engine in table.engines if engine.key in _PEERS and _is_fair(engine)]
    values = [(value, engine) for engine in fair if (value := median(engine, target.figure)) is not None]
    best = max if target.is_rate else min
    return best(values, key=lambda pair: pair[0])[1] if values else None


def _is_fair(engine: Measured) -> bool:
    kl = engine.quality.get("mean_kl")
    return kl is not None and kl <= PEER_KL


def _value(engine: Measured | None, figure: str) -> float | None:
    """The median of a figure of the rounds, or a figure of the quality."""
    if engine is None:
        return None
    return engine.quality[figure] if figure in engine.quality else median(engine, figure)


def _cell(target: Target, engine: Measured | None, value: float | None, *, is_named: bool = False) -> str:
    if engine is None or value is None:
        return NOTHING
    kl = engine.quality.get("mean_kl")
    notes = [engine.title] if is_named else []
    notes += [f"KL {kl:.4f}"] if kl is not None and target.figure not in engine.quality else []
    number = f"{value * target.scale:.{target.digits}f} {target.unit}"
    return f"{number} ({', '.join(notes)})" if notes else number


def _target(target: Target) -> str:
    comparison = "\N{GREATER-THAN OR EQUAL TO}" if target.is_rate else "\N{LESS-THAN OR EQUAL TO}"
    if target.against is Against.NOBODY:
        return f"{comparison} {target.bound * target.scale:g} {target.unit}"
    slack = f" + {target.slack * target.scale:g} {target.unit}" if target.slack else ""
    return f"{comparison} {target.bound:.3g} {_TIMES}{slack}"
