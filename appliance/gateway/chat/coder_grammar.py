"""The parameters of a call in Qwen3-Coder's format, as rules of a grammar. It rejects what rules cannot express."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from appliance.errors import RequestError
from appliance.gateway.chat.coder import kinds
from appliance.gateway.chat.json_rule import json_rule
from appliance.gateway.chat.request import Tool
from appliance.json_schema import ARGUMENTS

_END = '"\\n</parameter>\\n"'
# A text up to the mark that ends it, and any parameter of any name.
SHARED = (
    "parameter_text[lazy]: /(.|\\n)*\\n<\\/parameter>\\n/",
    'parameter_any: "<parameter=" /[^>\\n]+/ ">\\n" parameter_text',
)
_OBJECT = frozenset({"type", "properties", "required", "additionalProperties", "$defs"})


@dataclass(frozen=True)
class Parameter:
    """The right side of a parameter's rule, and how often the parameter may occur: "", "?" or "*"."""

    content: str
    count: str


def parameters(tool: Tool, schema: Mapping[str, Any], unheld: list[str]) -> Iterator[Parameter]:
    """Yield the rules of a call's parameters, in the order of the lowered schema.

    Args:
        tool: the tool to call.
        schema: the schema of its arguments.
        unheld: this function adds the paths of schema parts that this format cannot express.

    Raises:
        RequestError: the schema has such a part, and the tool is strict.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not set(schema) <= _OBJECT:
        _cannot_say(tool, "its parameters are no plain object", unheld, "#")
        yield Parameter("parameter_any", "*")
        return
    required = schema.get("required", ())
    shared = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    for name, inner in properties.items():
        head = json.dumps(f"<parameter={name}>\n")
        yield Parameter(f"{head} {_value(tool, name, inner, shared, unheld)}", "" if name in required else "?")


def _value(tool: Tool, name: str, schema: Any, shared: Mapping[str, Any], unheld: list[str]) -> str:
    if kinds(schema) != {"string"}:
        whole = {**(schema if isinstance(schema, Mapping) else {}), **shared}
        return f"({json_rule(whole, ARGUMENTS)}) {_END}"
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices is not None:
        return f"({' | '.join(json.dumps(choice) for choice in choices)}) {_END}"
    if set(schema) != {"type"}:
        why = f"its parameter {name!r} is a text with rules of its own"
        _cannot_say(tool, why, unheld, f"#/properties/{quote(name, safe='')}")
    return "parameter_text"


def _cannot_say(tool: Tool, why: str, unheld: list[str], at: str) -> None:
    if tool.strict:
        raise RequestError(f"the tool {tool.name!r} cannot be strict with this model: {why}", param="tools")
    unheld.append(at)
