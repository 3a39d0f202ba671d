"""Writes a run's results in Markdown, and inserts them into a page between two markers, without other numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.figures import NOTHING, Row, growth_rows, long_rows, main_rows, preset_rows, use_rows
from bench.grammar_run import CONSTRAINED, FREE
from bench.markdown import table
from bench.results import Measured, Results, Table
from bench.summary import spread
from bench.targets import PEER_KL
from bench.verdict import Verdict, left_out, verdicts

BEGIN = "<!-- bench: begin; written by `python -m bench report FILE --into PAGE`, not by hand -->"
END = "<!-- bench: end -->"
# In cores. If other processes used more than this during a round, its figures are too low.
_QUIET_CORES = 0.15


class PageError(Exception):
    """The page has no markers, or has them in the wrong order."""


def report(results: Results) -> str:
    """All tables in Markdown."""
    parts = [_head(results), *(_section(part) for part in results.tables)]
    if not results.quick:
        parts += [_verdict(results, model, rows) for model, rows in verdicts(results).items()]
    return "\n\n".join(parts) + "\n"


def put_into(page: Path, text: str, begin_mark: str = BEGIN) -> None:
    """Replace the text between the markers; `begin_mark` names the command that writes it.

    Raises:
        PageError: the markers are missing or in the wrong order.
    """
    content = page.read_text(encoding="utf-8")
    before, begin, rest = content.partition(begin_mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError(f"{page} does not have the markers {begin_mark} and {END}")
    page.write_text(f"{before}{begin_mark}\n\n{text}\n{END}{after}", encoding="utf-8")


def _head(results: Results) -> str:
    lines = [
        f"Measured {results.started_at}"
        + ("." if results.minutes is None else f", in {results.minutes:.0f} minutes.")
        + (" A smoke test: the results are not valid measurements." if results.quick else "")
    ]
    lines += ["", table(("machine", ""), list(results.machine.items()))]
    versions: dict[str, str] = {}
    for part in results.tables:
        for engine in part.engines:
            versions.update(engine.versions)
    lines += ["", "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + "."]
    return "\n".join(lines)


def _section(part: Table) -> str:
    rounds = max((len(engine.rounds) for engine in part.engines), default=0)
    many = f"Median of {rounds} rounds (least-greatest)" if rounds > 1 else "One round"
    method = f"{many}, one engine after another; checkpoint sha256 {part.checkpoint[:16]}…."
    title, grid = _GRIDS[part.kind](part)
    return "\n".join([f"### {part.model}{title}", "", method, "", grid, "", *(_note(row) for row in part.engines)])


def _main_grid(part: Table) -> tuple[str, str]:
    has_energy = any(figure.startswith("joules_") for row in part.engines for each in row.rounds for figure in each)
    return "", _by_figure(part, main_rows(part.work, has_energy=has_energy))


def _long_grid(part: Table) -> tuple[str, str]:
    return ": long prompts", _by_figure(part, long_rows(part.work))


def _use_grid(part: Table) -> tuple[str, str]:
    work = part.work
    said = (
        f"Arriving requests: {work['arrivals']} in each round, on average one every {work['arrival_gap_s']:.1f} s "
        "(a Poisson process), the same for all engines."
    )
    return ": tasks and arriving requests", "\n\n".join([said, _by_figure(part, use_rows())])


def _growth_grid(part: Table) -> tuple[str, str]:
    return ": cost as work grows", _by_figure(part, growth_rows(part.work))


def _preset_grid(part: Table) -> tuple[str, str]:
    """The table of candidates: there are many, so candidates are rows and figures are columns."""
    columns = preset_rows(part.work)
    cells = [(row.title, *(_cell(column.cell(row), row) for column in columns)) for row in part.engines]
    return ": candidates for presets", table(("", *(column.title for column in columns)), cells)


def _grammar_grid(part: Table) -> tuple[str, str]:
    """The table of grammars, with the throughput relative to that without a grammar: the ratio of the medians."""
    free, constrained = part.engine(FREE.key), part.engine(CONSTRAINED.key)
    lines = [_by_figure(part, main_rows(part.work))]
    for streams in part.work["streams"]:
        rates = [spread(engine.values(f"decode_{streams}")) for engine in (free, constrained) if engine is not None]
        without, under = (*rates, None, None)[:2]
        if without is not None and under is not None:
            share = f"{under.median / without.median:.1%} of the throughput without ({under.median:.1f} of "
            lines += ["", f"Decoding {streams} at once under a grammar: {share}{without.median:.1f} tokens/s)."]
    return ": what a grammar costs", "\n".join(lines)


def _by_figure(part: Table, rows: Sequence[Row]) -> str:
    cells = [(row.title, *(_cell(row.cell(engine), engine) for engine in part.engines)) for row in rows]
    return table(("", *(engine.title for engine in part.engines)), cells)


_GRIDS: Mapping[str, Callable[[Table], tuple[str, str]]] = {
    "main": _main_grid,
    "long": _long_grid,
    "use": _use_grid,
    "growth": _growth_grid,
    "presets": _preset_grid,
    "grammars": _grammar_grid,
}


def _cell(text: str, engine: Measured) -> str:
    return "absent" if text == NOTHING and engine.why_not.startswith("absent") else text


def _note(engine: Measured) -> str:
    note = f"- {engine.title}: {engine.note}."
    if engine.why_not:
        note += f" **{engine.why_not}**."
    busy = [cores for cores in engine.others_cores if cores > _QUIET_CORES]
    if busy:
        note += (
            f" Other programs used up to {max(busy):.1f} cores during {len(busy)} of {len(engine.others_cores)} rounds."
        )
    return note


def _verdict(results: Results, model: str, rows: Sequence[Verdict]) -> str:
    """The targets and the results, with the peers that do not count."""
    head = ("row", "ours", "compared with", "ratio", "target", "verdict")
    grid = table(head, [(row.what, row.ours, row.opponent, row.ratio, row.target, row.verdict) for row in rows])
    lines = [f"### Verdict: {model}", "", grid]
    unfair = left_out([part for part in results.tables if part.model == model])
    if unfair:
        names = ", ".join(f"{engine.title} ({_kl(engine)})" for engine in unfair)
        lines += ["", f"Not among the best peers, because their KL is not known to be at most {PEER_KL:g}: {names}."]
    return "\n".join(lines)


def _kl(engine: Measured) -> str:
    kl = engine.quality.get("mean_kl")
    return "not measured" if kl is None else f"{kl:.4f}"
