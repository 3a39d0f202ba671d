"""Writes the grammar that an answer must follow: calls with their arguments, and thoughts before them.

The grammars are in llguidance's Lark dialect (its docs/syntax.md). A lazy text ends with the first mark in it, so the
rules after a mark apply whatever text came before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.gateway.chat import coder_grammar
from appliance.gateway.chat.json_rule import json_rule
from appliance.gateway.chat.marks import CALL_CLOSE, CALL_OPEN, THINK_CLOSE, THINK_OPEN
from appliance.gateway.chat.request import Tool
from appliance.json_schema import ARGUMENTS, FREELY_SPACED

# Tool name → lowered schema of its arguments. The arguments of other tools are free.
Schemas = Mapping[str, Mapping[str, Any]]
_NO_LETTERS = re.compile("[^a-z0-9_]")
_NEWLINE = '"\\n"'


class Grammar:
    """The grammar of one answer, built rule by rule; `form` is the model's format of calls, a key of `PARSERS`."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._rules: list[str] = []
        self._unheld: list[str] = []

    @property
    def unheld(self) -> tuple[str, ...]:
        """Paths of tool schema parts that this format of calls cannot enforce: "tool#/properties/a"."""
        return tuple(self._unheld)

    def text(self, *, thought: str, answer: str) -> str:
        """Return the grammar: `thought` (may be empty), then `answer`; both are right sides of rules."""
        return "\n".join([f"start: {thought} ({answer})", *self._rules]) + "\n"

    def thought(self, *, is_open: bool) -> str:
        """A thought in the templates' format; `is_open`: the prompt already contains its opening mark."""
        close = f"{self._text_to(THINK_CLOSE)} {_NEWLINE} {_NEWLINE}"
        return close if is_open else f"{_literal(THINK_OPEN)} {_NEWLINE} {close}"

    def format(self, lowered: Mapping[str, Any]) -> str:
        """A JSON answer that follows this schema."""
        return self._rule("format", json_rule(lowered, FREELY_SPACED))

    def text_or_calls(self, tools: Sequence[Tool], schemas: Schemas, *, several: bool) -> str:
        """Text, calls, or text and then calls. See `calls`."""
        inside, more = self._inside(tools, schemas, several=several)
        plain = self._rule("plain", "/(.|\\n)+/")
        return f"{plain}? | {self._text_to(CALL_OPEN)} {inside}{more}"

    def calls(self, tools: Sequence[Tool], schemas: Schemas, *, several: bool) -> str:
        """Calls of the tools.

        Args:
            tools: the tools that may be called.
            schemas: see Schemas.
            several: allow several calls; otherwise exactly one.

        Raises:
            RequestError: this format of calls cannot express a strict tool's schema.
        """
        inside, more = self._inside(tools, schemas, several=several)
        return f"{_literal(CALL_OPEN)} {inside}{more}"

    def _inside(self, tools: Sequence[Tool], schemas: Schemas, *, several: bool) -> tuple[str, str]:
        """The rule after a call's opening mark, and the rule for further calls."""
        free = {"type": "object"}
        rules = [self._call(index, tool, schemas.get(tool.name, free)) for index, tool in enumerate(tools)]
        inside = self._rule("inside", " | ".join(rules))
        return inside, f" ({_NEWLINE} {_literal(CALL_OPEN)} {inside})*" if several else ""

    def _call(self, index: int, tool: Tool, schema: Mapping[str, Any]) -> str:
        name = _rule_name(index, tool)
        inside = self._hermes(name, tool, schema) if self._form == "hermes" else self._coder(name, tool, schema)
        return self._rule(f"call_{name}", inside)

    def _hermes(self, name: str, tool: Tool, schema: Mapping[str, Any]) -> str:
        head = f'\n{{"name": {json.dumps(tool.name)}, "arguments": '
        arguments = self._rule(f"arguments_{name}", json_rule(schema, ARGUMENTS))
        tail = "}\n" + CALL_CLOSE
        return f"{_literal(head)} {arguments} {_literal(tail)}"

    def _coder(self, name: str, tool: Tool, schema: Mapping[str, Any]) -> str:
        parameters = []
        unheld: list[str] = []
        for number, right_side in enumerate(coder_grammar.parameters(tool, schema, unheld)):
            parameters.append(self._rule(f"parameter_{number}_of_{name}", right_side.content) + right_side.count)
        self._unheld += [f"{tool.name}{at}" for at in unheld]
        self._rules += [rule for rule in coder_grammar.SHARED if rule not in self._rules]
        end = _literal(f"</function>\n{CALL_CLOSE}")
        return " ".join([_literal(f"\n<function={tool.name}>\n"), *parameters, end])

    def _text_to(self, mark: str) -> str:
        """Any text up to the first mark, including the mark."""
        name = f"text_to_{'call' if mark == CALL_OPEN else 'thought'}"
        # A slash would end the regular expression.
        self._rule(f"{name}[lazy]", "/(.|\\n)*" + mark.replace("/", "\\/") + "/")
        return name

    def _rule(self, name: str, content: str) -> str:
        self._rules.append(f"{name}: {content}")
        return name


def _rule_name(index: int, tool: Tool) -> str:
    """Part of the names of a tool's rules, by which the engine's errors name the tool."""
    return f"{index}_{_NO_LETTERS.sub('_', tool.name.lower())}"


def _literal(text: str) -> str:
    return json.dumps(text)
