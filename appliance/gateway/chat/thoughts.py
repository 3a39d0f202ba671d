"""Splits a thinking model's text into thoughts and answer, however it is cut into pieces. It changes no text."""

from __future__ import annotations

from appliance.gateway.chat.marks import THINK_CLOSE, THINK_OPEN, held_back, without_begun
from appliance.gateway.chat.parts import Reasoning, Text


class Thoughts:
    """`<think>…</think>` at the beginning of an answer; later marks are text.

    Newlines around the marks belong to the marks, because templates write them.
    """

    def __init__(self, *, is_open: bool) -> None:
        """`is_open`: the template has already written the opening mark."""
        self._buffer = ""
        self._state = self._thinking if is_open else self._start
        self._has_begun = False

    def feed(self, text: str) -> list[Text | Reasoning]:
        """Return the parts that are certain now."""
        self._buffer += text
        parts: list[Text | Reasoning] = []
        while True:
            state = self._state
            state(parts)
            if self._state == state:
                return parts

    def end(self, *, is_cut: bool) -> list[Text | Reasoning]:
        """Return the held-back text at the end of the answer.

        `is_cut`: the model would have continued; a possible beginning of a mark is then omitted.
        """
        rest, self._buffer = self._buffer, ""
        if self._state == self._start and is_cut and rest.strip():
            return []
        if self._state == self._thinking:
            rest = (without_begun(rest, THINK_CLOSE) if is_cut else rest).rstrip("\n")
            return [Reasoning(rest if self._has_begun else rest.lstrip("\n"))]
        return [Text(rest)]

    def _start(self, _parts: list[Text | Reasoning]) -> None:
        words = self._buffer.lstrip()
        if words.startswith(THINK_OPEN):
            self._buffer = words[len(THINK_OPEN) :]
            self._state = self._thinking
        elif not THINK_OPEN.startswith(words):
            self._state = self._answer

    def _thinking(self, parts: list[Text | Reasoning]) -> None:
        close = self._buffer.find(THINK_CLOSE)
        certain = self._buffer[: close if close >= 0 else len(self._buffer) - held_back(self._buffer, THINK_CLOSE)]
        certain = certain.rstrip("\n")
        rest = self._buffer[len(certain) :]
        if not self._has_begun:
            certain = certain.lstrip("\n")
        self._has_begun = self._has_begun or bool(certain)
        parts.append(Reasoning(certain))
        self._buffer = rest
        if close >= 0:
            self._buffer = rest.lstrip("\n").removeprefix(THINK_CLOSE)
            self._state = self._gap

    def _gap(self, _parts: list[Text | Reasoning]) -> None:
        self._buffer = self._buffer.lstrip("\n")
        if self._buffer:
            self._state = self._answer

    def _answer(self, parts: list[Text | Reasoning]) -> None:
        parts.append(Text(self._buffer))
        self._buffer = ""
