"""Follows a JSON object through pieces of text to its last brace. It looks at strings and brackets, not at the rest."""

from __future__ import annotations

_CLOSER = {"{": "}", "[": "]"}


class JsonObject:
    """Where an object that begins with the first character scanned is over.

    Attributes:
        is_whole: its last brace was seen.
        is_broken: a bracket does not fit, or a string has a raw control character.
    """

    def __init__(self) -> None:
        self.is_whole = False
        self.is_broken = False
        self._closers: list[str] = []
        self._in_string = False
        self._is_escaped = False

    def scan(self, text: str) -> int:
        """Return how many characters of `text` belong to the object."""
        for at, character in enumerate(text):
            if self._in_string:
                self._in_text(character)
            else:
                self._between(character)
            if self.is_broken:
                return at
            if self.is_whole:
                return at + 1
        return len(text)

    def _in_text(self, character: str) -> None:
        if character < " ":
            self.is_broken = True
        elif self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._in_string = False

    def _between(self, character: str) -> None:
        if character == '"':
            self._in_string = True
        elif character in _CLOSER:
            self._closers.append(_CLOSER[character])
        elif character in "}]":
            self.is_broken = not self._closers or self._closers.pop() != character
            self.is_whole = not self._closers
