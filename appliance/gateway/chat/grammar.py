"""Grammars that an answer must follow: calls with their arguments, thoughts before them. It writes them, no more.

They are in llguidance's Lark dialect (its docs/syntax.md). The marks are tokens, `<[id]>`, which its texts never match.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.gateway.chat import coder_grammar
from appliance.gateway.chat.marks import CALL_CLOSE, CALL_OPEN, THINK_CLOSE, THINK_OPEN
from appliance.gateway.chat.request import Tool

# Between keys and values as templates and the models' training have it; what comes back as history is the same bytes.
_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_NEWLINE = '"\\n"'
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


class Grammar:
    """One answer's grammar, put together rule by rule.

    Args:
        form: how the model writes calls, one of `dialect.PARSERS`.
        marks: the tokens of the marks, by their texts.
    """

    def __init__(self, form: str, marks: Mapping[str, int]) -> None:
        self._form = form
        self._marks = marks
        self._rules: list[str] = []

    def text(self, *, thought: str, answer: str) -> str:
        """Return the grammar: a thought (see `thought`), then the answer; both are right sides of rules."""
        start = f"start: {thought} ({answer})".replace("  ", " ")
        return "\n".join([start, "TEXT: /(.|\\n)+/", *self._rules]) + "\n"

    def thought(self, *, is_open: bool) -> str:
        """A thought, as templates write it; `is_open` when the prompt has its opening mark already."""
        close = f"TEXT? {self._mark(THINK_CLOSE)} {_NEWLINE} {_NEWLINE}"
        return close if is_open else f"{self._mark(THINK_OPEN)} {_NEWLINE} {close}"

    def format(self, response_format: Mapping[str, Any]) -> str:
        """A JSON answer; `response_format` is the engine's object."""
        schema = response_format.get("json", {"type": "object"})
        return self._rule("format", f"%json {schema if isinstance(schema, str) else json.dumps(schema)}")

    def calls(self, tools: Sequence[Tool], *, by_schema: bool, several: bool) -> str:
        """Calls of the tools.

        Args:
            tools: those that may be called.
            by_schema: every tool's arguments follow its schema, not only a strict one's.
            several: one or more; otherwise exactly one.

        Raises:
            RequestError: a strict tool's schema cannot be written as this form of calls.
        """
        rules = [self._call(index, tool, by_schema or tool.strict) for index, tool in enumerate(tools)]
        call = self._rule("call", " | ".join(rules))
        return f"{call} ({_NEWLINE} {call})*" if several else call

    def _call(self, index: int, tool: Tool, by_schema: bool) -> str:
        schema = (tool.parameters or _NO_ARGUMENTS) if by_schema else {"type": "object"}
        inside = self._hermes(index, tool, schema) if self._form == "hermes" else self._coder(index, tool, schema)
        return self._rule(f"call_{index}", f"{self._mark(CALL_OPEN)} {inside} {self._mark(CALL_CLOSE)}")

    def _hermes(self, index: int, tool: Tool, schema: Mapping[str, Any]) -> str:
        head = f'\n{{"name": {json.dumps(tool.name)}, "arguments": '
        tail = "}\n"
        arguments = self._rule(f"arguments_{index}", f"%json {json.dumps({**schema, 'x-guidance': _SPACING})}")
        return f"{_literal(head)} {arguments} {_literal(tail)}"

    def _coder(self, index: int, tool: Tool, schema: Mapping[str, Any]) -> str:
        parameters = []
        for number, right_side in enumerate(coder_grammar.parameters(tool, schema)):
            parameters.append(self._rule(f"parameter_{index}_{number}", right_side.content) + right_side.count)
        self._share(coder_grammar.SHARED)
        return " ".join([_literal(f"\n<function={tool.name}>\n"), *parameters, _literal("</function>\n")])

    def _rule(self, name: str, content: str) -> str:
        self._rules.append(f"{name}: {content}")
        return name

    def _share(self, rules: Sequence[str]) -> None:
        self._rules += [rule for rule in rules if rule not in self._rules]

    def _mark(self, text: str) -> str:
        return f"<[{self._marks[text]}]>"


def _literal(text: str) -> str:
    return json.dumps(text)
