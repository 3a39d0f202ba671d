"""The parameters of one call in Qwen3-Coder's form, as rules of a grammar. What it cannot say by rules it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import RequestError
from appliance.gateway.chat.coder import kinds
from appliance.gateway.chat.json_rule import ARGUMENTS, json_rule
from appliance.gateway.chat.request import Tool

_END = '"\\n</parameter>\\n"'
# A text up to the mark that ends it; any parameter of any name.
SHARED = (
    "parameter_text[lazy]: /(.|\\n)*\\n<\\/parameter>\\n/",
    'parameter_any: "<parameter=" /[^>\\n]+/ ">\\n" parameter_text',
)
_SAYS_NOTHING = frozenset({"description", "title", "default", "examples", "type", "$schema"})
_OBJECT = _SAYS_NOTHING | {"properties", "required", "additionalProperties", "$defs", "definitions"}


@dataclass(frozen=True)
class Parameter:
    """The right side of a parameter's rule, and how often it comes: "", "?" or "*"."""

    content: str
    count: str


def parameters(tool: Tool, schema: Mapping[str, Any]) -> Iterator[Parameter]:
    """Yield the rules of a call's parameters, in the order of the schema.

    Raises:
        RequestError: the tool is strict and its schema says what this form cannot.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not set(schema) <= _OBJECT:
        _check_lenient(tool, "its parameters are no plain object")
        yield Parameter("parameter_any", "*")
        return
    required = schema.get("required", ())
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    for name, inner in properties.items():
        head = json.dumps(f"<parameter={name}>\n")
        yield Parameter(f"{head} {_value(tool, name, inner, shared)}", "" if name in required else "?")


def _value(tool: Tool, name: str, schema: Any, shared: Mapping[str, Any]) -> str:
    if kinds(schema) != {"string"}:
        whole = {**schema, **shared} if isinstance(schema, Mapping) else schema
        return f"({json_rule(whole, ARGUMENTS)}) {_END}"
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices is not None:
        return f"({' | '.join(json.dumps(choice) for choice in choices)}) {_END}"
    if not set(schema) <= _SAYS_NOTHING:
        _check_lenient(tool, f"its parameter {name!r} is a text with rules of its own")
    return "parameter_text"


def _check_lenient(tool: Tool, why: str) -> None:
    if tool.strict:
        raise RequestError(f"the tool {tool.name!r} cannot be strict with this model: {why}", param="tools")
