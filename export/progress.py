"""The interface between the pipeline, which has no terminal, and the command that shows its progress."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of steps, from the exporting thread."""

    def step(self, name: str, done: int, total: int) -> None:
        """Report `done` of `total` units of the step `name`; a step begins with 0 and ends with its total."""
        ...

    def note(self, text: str) -> None:
        """Report one line without progress."""
        ...
