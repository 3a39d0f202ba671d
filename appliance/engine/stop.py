"""Stop strings in streamed text. They may span tokens, so text that may be the start of a stop string is held back."""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Watches one completion's text for the first occurrence of any stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def push(self, text: str) -> tuple[str, str | None]:
        """Add new text. Return the text that is now certain, and the completed stop string, or None.

        If a stop string was completed, the certain text ends before the stop string, and no text is held back.
        """
        if not self._stops:
            return text, None
        text = self._held + text
        ends = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self._held = ""
            first, found = min(ends, key=lambda end: end[0])
            return text[:first], found
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], None

    def flush(self) -> str:
        """Return the text that was held back. The completion has ended, so this text begins no stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest suffix of `text` that is a proper prefix of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
