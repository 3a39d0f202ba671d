"""What the red team prints: a table on a terminal, plain lines elsewhere, or JSON."""

from __future__ import annotations

import enum
import json
import sys
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


class Verdict(enum.Enum):
    """How an attack ended."""

    HELD = "held"
    BROKE = "broke"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Outcome:
    """One attack's end.

    Attributes:
        name, entries: the attack's.
        verdict: see Verdict.
        evidence: what was seen.
        seconds: how long it took; nothing depends on it.
    """

    name: str
    entries: str
    verdict: Verdict
    evidence: str
    seconds: float


class Report:
    """Prints each outcome as soon as it is known; a table at the end on a terminal.

    Attributes:
        outcomes: those so far.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._is_terminal = sys.stdout.isatty() and not as_json
        self.outcomes: list[Outcome] = []

    @property
    def is_good(self) -> bool:
        """Whether nothing broke."""
        return all(one.verdict is not Verdict.BROKE for one in self.outcomes)

    def note(self, line: str) -> None:
        """Print a line for people."""
        if not self._as_json:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    def add(self, outcome: Outcome) -> None:
        """Print an outcome."""
        self.outcomes.append(outcome)
        if self._as_json:
            sys.stdout.write(json.dumps({**asdict(outcome), "verdict": outcome.verdict.value}) + "\n")
            sys.stdout.flush()
        else:
            self.note(f"{outcome.verdict.value:8}{outcome.name} ({outcome.entries}): {outcome.evidence}")

    def table(self, title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """Print a table, or its rows as lines."""
        if self._is_terminal:
            table = Table(*columns, title=title)
            for row in rows:
                table.add_row(*row)
            Console().print(table)
        else:
            self.note(title)
            for row in rows:
                self.note("  " + "; ".join(f"{name} {value}" for name, value in zip(columns, row, strict=True)))

    def end(self) -> None:
        """Print what held, once more and short."""
        if self._is_terminal:
            rows = [(one.name, one.entries, one.verdict.value, one.evidence) for one in self.outcomes]
            self.table("Red team", ("attack", "of", "verdict", "evidence"), rows)
        counts = [f"{sum(one.verdict is verdict for one in self.outcomes)} {verdict.value}" for verdict in Verdict]
        self.note(", ".join(counts))
