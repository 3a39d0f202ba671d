"""A progress for tests: remembers the steps, and can do something at one of them."""

from __future__ import annotations

from collections.abc import Callable


class Steps:
    """Records (name, done, total) and notes."""

    def __init__(self, at: Callable[[str, int, int], None] = lambda _name, _done, _total: None) -> None:
        self.steps: list[tuple[str, int, int]] = []
        self.notes: list[str] = []
        self._at = at

    def step(self, name: str, done: int, total: int) -> None:
        """See `export.progress.Progress`."""
        self.steps.append((name, done, total))
        self._at(name, done, total)

    def note(self, text: str) -> None:
        """See `export.progress.Progress`."""
        self.notes.append(text)

    @property
    def names(self) -> list[str]:
        """The steps in the order of their beginning."""
        return list(dict.fromkeys(name for name, _, _ in self.steps))
