"""The marks that models put around thoughts and calls, and the search for a partial mark at the end of a text."""

from __future__ import annotations

from appliance.artefact.parts import CALL_CLOSE, CALL_OPEN, THINK_CLOSE, THINK_OPEN

__all__ = ["CALL_CLOSE", "CALL_OPEN", "THINK_CLOSE", "THINK_OPEN", "held_back"]


def held_back(text: str, mark: str) -> int:
    """The number of characters at the end of `text` that may begin `mark`; a complete mark does not count."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return length
    return 0


def without_begun(text: str, mark: str) -> str:
    """The text without a possible beginning of `mark` at its end, and without a newline before it."""
    length = held_back(text, mark)
    return text[:-length].removesuffix("\n") if length else text
