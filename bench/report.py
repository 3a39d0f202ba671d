"""Writes a run's results in Markdown, and inserts them into a page between two markers, without other numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.figures import NOTHING, Row, long_rows, main_rows, preset_rows
from bench.grammar_run import CONSTRAINED, FREE
from bench.markdown import table
from bench.results import Measured, Results, Table
from bench.summary import spread, standings

BEGIN = "<!-- bench: begin; written by `python -m bench report FILE --into PAGE`, not by hand -->"
END = "<!-- bench: end -->"
# In cores. If other processes used more than this during a round, its figures are too low.
_QUIET_CORES = 0.15


class PageError(Exception):
    """The page has no markers, or has them in the wrong order."""


def report(results: Results) -> str:
    """All tables in Markdown."""
    parts = [_head(results), *(_section(part) for part in results.tables)]
    parts += [_standing(part) for part in results.tables if part.kind == "main"]
    return "\n\n".join(parts) + "\n"


def put_into(page: Path, text: str) -> None:
    """Replace the text between the markers.

    Raises:
        PageError: the markers are missing or in the wrong order.
    """
    content = page.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError(f"{page} does not have the markers {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def _head(results: Results) -> str:
    lines = [
        f"Measured {results.started_at}."
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
    return "", _by_figure(part, main_rows(part.work))


def _long_grid(part: Table) -> tuple[str, str]:
    return ": long prompts", _by_figure(part, long_rows(part.work))


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


def _standing(part: Table) -> str:
    words = {True: "met", False: "**not met**", None: "not measured"}
    rows = [(line.what, line.target, line.found or NOTHING, words[line.is_met]) for line in standings(part)]
    return f"### Targets: {part.model}\n\n" + table(("what", "target", "measured", ""), rows)
