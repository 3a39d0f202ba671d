"""How far an export is, for whoever watches: the seam between the pipeline, which has no terminal, and the command."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told about steps as they happen, from the exporting thread."""

    def step(self, name: str, done: int, total: int) -> None:
        """`done` of `total` units of the step `name`; a step begins with 0 and ends with its total."""
        ...

    def note(self, text: str) -> None:
        """One line about something that needs no step."""
        ...
