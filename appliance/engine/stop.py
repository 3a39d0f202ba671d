"""Stop strings over streamed text: they may span tokens, so text that could begin one is held back."""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Watches one completion's text for the first occurrence of any stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """Take new text; return the text that is now certain, and whether a stop string was completed.

        After a completed stop string the certain text ends before it, and nothing is held any more.
        """
        if not self._stops:
            return text, False
        text = self._held + text
        ends = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self._held = ""
            return text[: min(ends)], True
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

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
