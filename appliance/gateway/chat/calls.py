"""The common base of the parsers of tool calls: it parses the text around calls; the dialects parse the calls."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping

from appliance.gateway.chat.marks import CALL_CLOSE, CALL_OPEN, held_back, without_begun
from appliance.gateway.chat.parts import Part, Text, ToolArguments, ToolCall
from appliance.gateway.chat.request import Tool

NewId = Callable[[], str]


class Calls(abc.ABC):
    """Splits an answer into text and calls. The result does not depend on how the answer is cut into pieces.

    If a call does not begin in the dialect's format, or names a tool that the request does not have, it is text. One
    newline before a call, and white space between calls and after the last call, belong to the calls, because templates
    write them.

    The parser of a cut answer returns only what is certain: it omits a possible beginning of a mark or of a call, and a
    call's arguments end where the model stopped.
    """

    def __init__(self, tools: Mapping[str, Tool], new_id: NewId) -> None:
        """`tools` maps names to the tools that may be called; `new_id` creates the id of a call."""
        self.tools = tools
        self.count = 0
        self._new_id = new_id
        self._buffer = ""
        # The newline before a mark, until it is certain that the mark begins a call.
        self._newline = ""
        self._state: Callable[[list[Part]], None] = self._text

    def feed(self, text: str) -> list[Part]:
        """Return the parts that are certain now."""
        self._buffer += text
        parts: list[Part] = []
        while True:
            state = self._state
            state(parts)
            if self._state == state:
                return parts

    @property
    def is_midway(self) -> bool:
        """Whether a call has begun whose arguments have not ended."""
        return self._state not in {self._text, self._between, self._inside, self._leave}

    def end(self, *, is_cut: bool) -> list[Part]:
        """Return the held-back text at the end of the answer. `is_cut`: the model would have continued."""
        parts: list[Part] = []
        if self._state == self._text:
            parts.append(Text(without_begun(self._buffer, CALL_OPEN) if is_cut else self._buffer))
        elif self._state == self._between:
            if self._buffer.strip() and not is_cut:
                parts.append(Text(self._buffer))
        elif self._state == self._leave:
            self._remainder(parts, without_begun(self._buffer, CALL_CLOSE))
        elif self._state == self._inside:
            if not self._read_unclosed(parts) and not is_cut:
                self._refuse(parts)
                parts.append(Text(self._buffer))
        else:
            self._cut_short(parts)
        self._buffer = ""
        return parts

    @abc.abstractmethod
    def _inside(self, parts: list[Part]) -> None:
        """The state after the opening mark. It leaves by `_begin`, `_leave` or `_refuse`."""

    @abc.abstractmethod
    def _read_unclosed(self, parts: list[Part]) -> bool:
        """Read a call whose closing mark is missing, at the end of the text. Return whether there is a call."""

    @abc.abstractmethod
    def _cut_short(self, parts: list[Part]) -> None:
        """The text ended inside a call's arguments."""

    def _begin(self, parts: list[Part], name: str) -> None:
        parts.append(ToolCall(self.count, self._new_id(), name))
        self.count += 1

    def _arguments(self, parts: list[Part], text: str) -> None:
        parts.append(ToolArguments(self.count - 1, text))

    def _take(self, length: int) -> str:
        """Remove `length` characters from the front of the buffer, and return them."""
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def _refuse(self, parts: list[Part]) -> None:
        """There is no call after the mark: the mark is text."""
        parts.append(Text(self._newline + CALL_OPEN))
        self._state = self._text

    def _leave(self, parts: list[Part]) -> None:
        """After the arguments: wait for the closing mark."""
        close = self._buffer.find(CALL_CLOSE)
        if close >= 0:
            self._remainder(parts, self._take(close))
            self._take(len(CALL_CLOSE))
            self._state = self._between

    def _remainder(self, parts: list[Part], text: str) -> None:
        """Keep the text between a call's arguments and its closing mark, so that no text of the model is lost."""
        if text.strip() not in {"", "}"}:
            parts.append(Text(text))

    def _text(self, parts: list[Part]) -> None:
        at = self._buffer.find(CALL_OPEN)
        if at < 0:
            held = max(held_back(self._buffer, "\n" + CALL_OPEN), held_back(self._buffer, CALL_OPEN))
            parts.append(Text(self._take(len(self._buffer) - held)))
            return
        before = self._take(at)
        self._newline = "\n" if before.endswith("\n") else ""
        parts.append(Text(before.removesuffix("\n")))
        self._take(len(CALL_OPEN))
        self._state = self._inside

    def _between(self, _parts: list[Part]) -> None:
        words = self._buffer.lstrip()
        if words.startswith(CALL_OPEN):
            self._newline = self._buffer[: -len(words)]
            self._buffer = words[len(CALL_OPEN) :]
            self._state = self._inside
        elif not CALL_OPEN.startswith(words):
            self._state = self._text
