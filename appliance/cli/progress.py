"""Progress of long work: a bar on a terminal, a few plain lines elsewhere, nothing with --json.

All of it goes to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance.cli.output import tell, wants_json
from appliance.sizes import size

Advance = Callable[[int], None]
PLAIN_STEPS = 10


@contextmanager
def progress(description: str, total: int, unit: str = "bytes") -> Iterator[Advance]:
    """Show how far the work is; call what it gives with the amount done since the last call.

    Args:
        description: what is being done, a few words.
        total: the whole amount, in `unit`.
        unit: "bytes", or the plural of what is counted.
    """
    shown = _nothing if wants_json() else _bar if sys.stderr.isatty() else _lines
    with shown(description, total, unit) as advance:
        yield advance


@contextmanager
def _nothing(_description: str, _total: int, _unit: str) -> Iterator[Advance]:
    yield lambda _done: None


@contextmanager
def _bar(description: str, total: int, unit: str) -> Iterator[Advance]:
    # rich takes a tenth of a second to import: only where it is shown.
    from rich import progress as bars  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    amount = (
        [bars.DownloadColumn(), bars.TransferSpeedColumn()]
        if unit == "bytes"
        else [bars.MofNCompleteColumn(), bars.TextColumn(unit)]
    )
    columns = [bars.TextColumn("{task.description}"), bars.BarColumn(), *amount, bars.TimeRemainingColumn()]
    with bars.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(description, total=total)
        yield lambda done: shown.advance(task, done)


@contextmanager
def _lines(description: str, total: int, unit: str) -> Iterator[Advance]:
    done = printed = 0

    def amount(count: int) -> str:
        return size(count) if unit == "bytes" else f"{count} {unit}"

    def advance(more: int) -> None:
        nonlocal done, printed
        done += more
        reached = PLAIN_STEPS * done // max(total, 1)
        if reached > printed:
            printed = reached
            tell(f"{description}: {amount(done)} of {amount(total)}")

    yield advance
