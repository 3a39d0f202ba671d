"""Tool calls in the format of Qwen2.5 and Qwen3: `<tool_call>` around a JSON object with `name` and `arguments`.

This is Hermes 2 Pro's format. The arguments are streamed unchanged, in the model's own characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pydantic_core

from appliance.gateway.chat.calls import Calls, NewId
from appliance.gateway.chat.json_object import JsonObject
from appliance.gateway.chat.marks import CALL_CLOSE, without_begun
from appliance.gateway.chat.parts import Part
from appliance.gateway.chat.request import Tool

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\\x00-\x1f]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)')


class HermesCalls(Calls):
    """See the module and `Calls`."""

    def __init__(self, tools: Mapping[str, Tool], new_id: NewId) -> None:
        super().__init__(tools, new_id)
        self._object = JsonObject()

    def _inside(self, parts: list[Part]) -> None:
        head = _HEAD.match(self._buffer)
        close = self._buffer.find(CALL_CLOSE)
        if head and not 0 <= close < head.end():
            name = _text(head[1])
            if name not in self.tools:
                self._refuse(parts)
                return
            self._take(head.end())
            self._begin(parts, name)
            self._object = JsonObject()
            self._state = self._in_arguments
        elif close >= 0:
            # Other keys, or another order of keys: the object can only be parsed as a whole.
            if self._read_whole(parts, self._buffer[:close]):
                self._take(close + len(CALL_CLOSE))
                self._state = self._between
            else:
                self._refuse(parts)
        elif self._buffer.lstrip()[:1] not in {"", "{"}:
            self._refuse(parts)

    def _in_arguments(self, parts: list[Part]) -> None:
        self._arguments(parts, self._take(self._object.scan(self._buffer)))
        if self._object.is_broken:
            self._state = self._in_broken
        elif self._object.is_whole:
            self._state = self._leave

    def _in_broken(self, parts: list[Part]) -> None:
        """The arguments are not JSON. The client already has their beginning, so it gets the rest unchanged."""
        close = self._buffer.find(CALL_CLOSE)
        if close >= 0:
            self._arguments(parts, _without_brace(self._take(close)))
            self._take(len(CALL_CLOSE))
            self._state = self._between

    def _read_unclosed(self, parts: list[Part]) -> bool:
        return self._read_whole(parts, without_begun(self._buffer, CALL_CLOSE))

    def _cut_short(self, parts: list[Part]) -> None:
        if self._state == self._in_broken:
            self._arguments(parts, _without_brace(without_begun(self._buffer, CALL_CLOSE)))

    def _read_whole(self, parts: list[Part], text: str) -> bool:
        try:
            # The parser rejects unpaired surrogates, which no answer could contain.
            call = pydantic_core.from_json(text, allow_inf_nan=False)
            if not isinstance(call, dict) or not isinstance(call.get("name"), str) or call["name"] not in self.tools:
                return False
            arguments = call.get("arguments", {})
            if not isinstance(arguments, dict):
                return False
            written = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        except (ValueError, RecursionError):
            return False
        self._begin(parts, call["name"])
        self._arguments(parts, written)
        return True


def _text(literal: str) -> str:
    """The text of a JSON string; if it is invalid, an empty text, which names no tool."""
    try:
        return str(json.loads(literal))
    except ValueError:
        return ""


def _without_brace(text: str) -> str:
    """Remove the brace that closes the call itself."""
    return text.rstrip().removesuffix("}").rstrip()
