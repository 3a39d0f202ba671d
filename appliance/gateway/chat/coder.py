"""Tool calls in Qwen3-Coder's format: `<function=name>` with a `<parameter=x>` for each argument, values unquoted.

The tool's schema decides the type of a value. The arguments become one JSON object; texts in it are streamed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic_core

from appliance.gateway.chat.calls import Calls, NewId
from appliance.gateway.chat.marks import CALL_CLOSE, held_back
from appliance.gateway.chat.parts import Part
from appliance.gateway.chat.request import Tool

FUNCTION_CLOSE = "</function>"
PARAMETER_CLOSE = "</parameter>"
_FUNCTION = re.compile(r"\s*<function=([^>\n]+)>")
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>")
_HEAD = "<function="
# What templates write for values that have another spelling in JSON.
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "none": None}
_KINDS: Mapping[type, str] = {bool: "boolean", type(None): "null", int: "integer", float: "number"}


class CoderCalls(Calls):
    """See the module and `Calls`."""

    def __init__(self, tools: Mapping[str, Tool], new_id: NewId) -> None:
        super().__init__(tools, new_id)
        self._properties: Mapping[str, Any] = {}
        self._given = 0
        self._schema: Any = None
        self._is_text = False
        self._has_begun = False

    def _inside(self, parts: list[Part]) -> None:
        head = _FUNCTION.match(self._buffer)
        words = self._buffer.lstrip()
        if head and head[1] in self.tools:
            self._take(head.end())
            self._begin(parts, head[1])
            self._properties = _properties(self.tools[head[1]])
            self._given = 0
            self._state = self._in_function
        elif head or not (words.startswith(_HEAD) or _HEAD.startswith(words)) or "\n" in words or CALL_CLOSE in words:
            self._refuse(parts)

    def _in_function(self, parts: list[Part]) -> None:
        """Between parameters: only a parameter or an end has a meaning here."""
        parameter = _PARAMETER.search(self._buffer)
        ends = [(at, mark) for mark in (FUNCTION_CLOSE, CALL_CLOSE) if (at := self._buffer.find(mark)) >= 0]
        at, mark = min(ends, default=(-1, ""))
        if parameter and not 0 <= at < parameter.start():
            self._take(parameter.end())
            name = parameter[1]
            self._arguments(parts, f"{', ' if self._given else '{'}{_quoted(name)}: ")
            self._given += 1
            self._schema = self._properties.get(name)
            self._is_text = kinds(self._schema) == {"string"}
            self._has_begun = False
            self._state = self._in_value
        elif at >= 0:
            self._take(at + (len(mark) if mark == FUNCTION_CLOSE else 0))
            self._arguments(parts, "}" if self._given else "{}")
            self._state = self._leave

    def _in_value(self, parts: list[Part]) -> None:
        if not self._has_begun:
            if not self._buffer:
                return
            self._buffer = self._buffer.removeprefix("\n")
            self._has_begun = True
            if self._is_text:
                self._arguments(parts, '"')
        close = self._buffer.find(PARAMETER_CLOSE)
        if self._is_text and close < 0:
            held = max(held_back(self._buffer, "\n" + PARAMETER_CLOSE), held_back(self._buffer, PARAMETER_CLOSE))
            self._arguments(parts, _escaped(self._take(len(self._buffer) - held)))
        if close >= 0:
            value = self._take(close).removesuffix("\n")
            self._take(len(PARAMETER_CLOSE))
            self._arguments(parts, _escaped(value) + '"' if self._is_text else _json(value, self._schema))
            self._state = self._in_function

    def _read_unclosed(self, _parts: list[Part]) -> bool:
        return False

    def _cut_short(self, parts: list[Part]) -> None:
        if self._state == self._in_value and self._is_text:
            # A newline at the end belongs to the closing mark, which templates write.
            held = held_back(self._buffer, PARAMETER_CLOSE)
            self._arguments(parts, _escaped(self._buffer[: len(self._buffer) - held].removesuffix("\n")))


def _properties(tool: Tool) -> Mapping[str, Any]:
    properties = (tool.parameters or {}).get("properties")
    return properties if isinstance(properties, Mapping) else {}


def kinds(schema: Any) -> set[str]:
    """The JSON types that a property's schema names; empty if it names none. References are not followed."""
    if not isinstance(schema, Mapping):
        return set()
    named = schema.get("type", [])
    found = {named} if isinstance(named, str) else {kind for kind in _list(named) if isinstance(kind, str)}
    for branch in (*_list(schema.get("anyOf")), *_list(schema.get("oneOf"))):
        found |= kinds(branch)
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    if not found and values and all(isinstance(value, str) for value in values):
        return {"string"}
    return found


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else []


def _json(text: str, schema: Any) -> str:
    """The value as JSON: by the types that its schema allows, else by how the value looks, else as a text."""
    allowed = kinds(schema)
    word = text.strip()
    try:
        # The parser rejects unpaired surrogates, which no answer could contain.
        value = pydantic_core.from_json(word, allow_inf_nan=False)
        if "string" in allowed and (isinstance(value, str) or not _is_of(value, allowed)):
            return _quoted(text)
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        value = _WORDS.get(word.lower(), text)
        return json.dumps(value) if not isinstance(value, str) and _is_of(value, allowed) else _quoted(text)


def _is_of(value: Any, allowed: set[str]) -> bool:
    if isinstance(value, list | Mapping):
        return ("array" if isinstance(value, list) else "object") in allowed
    return _KINDS[type(value)] in allowed or (
        isinstance(value, int) and not isinstance(value, bool) and "number" in allowed
    )


def _escaped(text: str) -> str:
    """The text as it appears inside a JSON string."""
    return _quoted(text)[1:-1]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
