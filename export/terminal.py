"""Progress of an export on standard error: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from export import progress

_PLAIN_STEPS = 4


@contextmanager
def shown_progress(*, is_silent: bool = False) -> Iterator[progress.Progress]:
    """Give the progress that suits standard error; one that shows nothing where a script reads."""
    if is_silent:
        yield Silence()
        return
    if not sys.stderr.isatty():
        yield Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield Bars(bars)


class Silence:
    """Shows nothing."""

    def step(self, name: str, done: int, total: int) -> None:
        """See `export.progress.Progress`."""

    def note(self, text: str) -> None:
        """See `export.progress.Progress`."""


class Bars:
    """One bar a step."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def step(self, name: str, done: int, total: int) -> None:
        """See `export.progress.Progress`."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)

    def note(self, text: str) -> None:
        """See `export.progress.Progress`."""
        self._bars.console.print(text)


class Lines:
    """A line at each quarter of a step."""

    def __init__(self) -> None:
        self._printed: dict[str, int] = {}

    def step(self, name: str, done: int, total: int) -> None:
        """See `export.progress.Progress`."""
        reached = _PLAIN_STEPS * done // max(total, 1)
        if reached > self._printed.get(name, 0):
            self._printed[name] = reached
            click.echo(f"{name}: {100 * done // total} %", err=True)

    def note(self, text: str) -> None:
        """See `export.progress.Progress`."""
        click.echo(text, err=True)
