"""Progress of long work: bars on a terminal, a few plain lines elsewhere, nothing with --json.

All output goes to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.cli.output import tell, wants_json
from appliance.sizes import size

if TYPE_CHECKING:
    from rich import progress as bars

Advance = Callable[[int], None]
PLAIN_STEPS = 4


@contextmanager
def shown_progress(unit: str = "%") -> Iterator[Silence | Lines | Bars]:
    """Yield the display that fits standard error.

    Args:
        unit: "bytes", "%" for steps that count in different units, or the plural of what is counted.
    """
    if wants_json():
        yield Silence()
    elif not sys.stderr.isatty():
        yield Lines(unit)
    else:
        # rich takes a tenth of a second to import: it is imported only if it is used.
        from rich import progress as bars  # noqa: PLC0415
        from rich.console import Console  # noqa: PLC0415

        amounts: dict[str, list[bars.ProgressColumn]] = {
            "bytes": [bars.DownloadColumn(), bars.TransferSpeedColumn()],
            "%": [bars.TaskProgressColumn(), bars.TimeElapsedColumn()],
        }
        amount = amounts.get(unit, [bars.MofNCompleteColumn(), bars.TextColumn(unit)])
        columns = [bars.TextColumn("{task.description}"), bars.BarColumn(), *amount, bars.TimeRemainingColumn()]
        with bars.Progress(*columns, console=Console(stderr=True)) as shown:
            yield Bars(shown)


@contextmanager
def progress(description: str, total: int, unit: str = "bytes") -> Iterator[Advance]:
    """Show the progress of one step; call the yielded function with the amount done since the last call.

    Args:
        description: the step, in a few words.
        total: the whole amount, in `unit`.
        unit: see `shown_progress`.
    """
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        shown.step(description, done, total)

    with shown_progress(unit) as shown:
        advance(0)
        yield advance


class Silence:
    """Shows nothing."""

    def step(self, name: str, done: int, total: int) -> None:
        """Show `done` of `total` units of the step `name`; a step begins with 0 and ends with its total."""

    def note(self, text: str) -> None:
        """Show one line without progress."""


class Lines:
    """Prints a line at each quarter of a step."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._printed: dict[str, int] = {}

    def step(self, name: str, done: int, total: int) -> None:
        """See `Silence`."""
        reached = PLAIN_STEPS * done // max(total, 1)
        if reached > self._printed.get(name, 0):
            self._printed[name] = reached
            tell(f"{name}: {self._amount(done, total)}")

    def note(self, text: str) -> None:
        """See `Silence`."""
        tell(text)

    def _amount(self, done: int, total: int) -> str:
        if self._unit == "%":
            return f"{100 * done // total} %"
        return f"{size(done)} of {size(total)}" if self._unit == "bytes" else f"{done} of {total} {self._unit}"


class Bars:
    """Shows one bar per step."""

    def __init__(self, shown: bars.Progress) -> None:
        self._shown = shown
        self._tasks: dict[str, bars.TaskID] = {}

    def step(self, name: str, done: int, total: int) -> None:
        """See `Silence`."""
        if name not in self._tasks:
            self._tasks[name] = self._shown.add_task(name, total=total)
        self._shown.update(self._tasks[name], completed=done, total=total)

    def note(self, text: str) -> None:
        """See `Silence`."""
        self._shown.console.print(text)
