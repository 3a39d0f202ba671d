"""One family's way to write a conversation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A template; `special` and `marks` are its control texts."""

    template: str
    special: tuple[str, ...]
    marks: tuple[str, ...] = ()
