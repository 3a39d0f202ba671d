"""Finds the end of a JSON object in pieces of text. It checks only strings and brackets."""

from __future__ import annotations

_CLOSER = {"{": "}", "[": "]"}


class JsonObject:
    """The state of one object, which begins with the first scanned character.

    Attributes:
        is_whole: the last brace was scanned.
        is_broken: a bracket does not match, or a string has a raw control character.
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
