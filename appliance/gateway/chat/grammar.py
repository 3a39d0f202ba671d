"""Grammars that an answer must follow: calls with their arguments, thoughts before them. It writes them, no more.

They are in llguidance's Lark dialect (its docs/syntax.md). A lazy text ends with the first mark in it, so that what
follows a mark is bound whatever stood before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.gateway.chat import coder_grammar
from appliance.gateway.chat.json_rule import ARGUMENTS, json_rule
from appliance.gateway.chat.marks import CALL_CLOSE, CALL_OPEN, THINK_CLOSE, THINK_OPEN
from appliance.gateway.chat.request import Tool
from appliance.json_schema import FREELY_SPACED

_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
_NEWLINE = '"\\n"'


class Grammar:
    """One answer's grammar, put together rule by rule; `form` is how the model writes calls, one of `PARSERS`."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._rules: list[str] = []

    def text(self, *, thought: str, answer: str) -> str:
        """Return the grammar: a thought (see `thought`) or nothing, then the answer; both are right sides of rules."""
        return "\n".join([f"start: {thought} ({answer})", *self._rules]) + "\n"

    def thought(self, *, is_open: bool) -> str:
        """A thought, as templates write it; `is_open` when the prompt has its opening mark already."""
        close = f"{self._text_to(THINK_CLOSE)} {_NEWLINE} {_NEWLINE}"
        return close if is_open else f"{_literal(THINK_OPEN)} {_NEWLINE} {close}"

    def format(self, response_format: Mapping[str, Any]) -> str:
        """A JSON answer; `response_format` is the engine's object."""
        return self._rule("format", json_rule(response_format.get("json", {"type": "object"}), FREELY_SPACED))

    def text_or_calls(self, tools: Sequence[Tool], *, several: bool) -> str:
        """Words, calls, or words and then calls; strict tools' arguments follow their schemas. See `calls`."""
        inside, more = self._inside(tools, by_schema=False, several=several)
        plain = self._rule("plain", "/(.|\\n)+/")
        return f"{plain}? | {self._text_to(CALL_OPEN)} {inside}{more}"

    def calls(self, tools: Sequence[Tool], *, by_schema: bool, several: bool) -> str:
        """Calls of the tools.

        Args:
            tools: those that may be called.
            by_schema: every tool's arguments follow its schema, not only a strict one's.
            several: one or more; otherwise exactly one.

        Raises:
            RequestError: a strict tool's schema cannot be written as this form of calls.
        """
        inside, more = self._inside(tools, by_schema=by_schema, several=several)
        return f"{_literal(CALL_OPEN)} {inside}{more}"

    def _inside(self, tools: Sequence[Tool], *, by_schema: bool, several: bool) -> tuple[str, str]:
        """What follows a call's opening mark, and what may follow that."""
        rules = [self._call(index, tool, by_schema or tool.strict) for index, tool in enumerate(tools)]
        inside = self._rule("inside", " | ".join(rules))
        return inside, f" ({_NEWLINE} {_literal(CALL_OPEN)} {inside})*" if several else ""

    def _call(self, index: int, tool: Tool, by_schema: bool) -> str:
        # Arguments are an object, whatever else a schema without a type would allow.
        schema = {**(tool.parameters or _NO_ARGUMENTS), "type": "object"} if by_schema else {"type": "object"}
        inside = self._hermes(index, tool, schema) if self._form == "hermes" else self._coder(index, tool, schema)
        return self._rule(f"call_{index}", inside)

    def _hermes(self, index: int, tool: Tool, schema: Mapping[str, Any]) -> str:
        head = f'\n{{"name": {json.dumps(tool.name)}, "arguments": '
        arguments = self._rule(f"arguments_{index}", json_rule(schema, ARGUMENTS))
        tail = "}\n" + CALL_CLOSE
        return f"{_literal(head)} {arguments} {_literal(tail)}"

    def _coder(self, index: int, tool: Tool, schema: Mapping[str, Any]) -> str:
        parameters = []
        for number, right_side in enumerate(coder_grammar.parameters(tool, schema)):
            parameters.append(self._rule(f"parameter_{index}_{number}", right_side.content) + right_side.count)
        self._rules += [rule for rule in coder_grammar.SHARED if rule not in self._rules]
        end = _literal(f"</function>\n{CALL_CLOSE}")
        return " ".join([_literal(f"\n<function={tool.name}>\n"), *parameters, end])

    def _text_to(self, mark: str) -> str:
        """Any text up to the first such mark, with it."""
        name = f"text_to_{'call' if mark == CALL_OPEN else 'thought'}"
        # A slash would end the expression.
        self._rule(f"{name}[lazy]", "/(.|\\n)*" + mark.replace("/", "\\/") + "/")
        return name

    def _rule(self, name: str, content: str) -> str:
        self._rules.append(f"{name}: {content}")
        return name


def _literal(text: str) -> str:
    return json.dumps(text)
