"""Stop strings over streamed text: they may span tokens, so text that could begin one is held back."""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Watches one completion's text for the first occurrence of any stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def push(self, text: str) -> tuple[str, str | None]:
        """Take new text; return the text that is now certain, and the stop string that was completed, if one was.

        After a completed stop string the certain text ends before it, and nothing is held any more.
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
        """Return the held text: the completion ended, so it begins no stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
