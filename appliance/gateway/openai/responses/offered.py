"""The tools of a response request: as the model sees them, and as the client names them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic_core

from appliance.errors import RequestError
from appliance.gateway.bodies.tools import MAX_TOOLS
from appliance.gateway.chat.request import Tool, ToolChoice
from appliance.gateway.openai.responses.tool_schema import (
    AllowedChoice,
    ChoiceParam,
    CustomTool,
    FunctionTool,
    GrammarInput,
    LeftOutTool,
    NamedChoice,
    NamespaceTool,
    ToolParam,
)

_INPUT = "input"
# The model writes the text of a custom tool as the only argument of a function.
_TEXT_ARGUMENT: Mapping[str, Any] = {
    "type": "object",
    "properties": {_INPUT: {"type": "string"}},
    "required": [_INPUT],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class OfferedTool:
    """One tool.

    Attributes:
        tool: as the model sees it; its name is `name_for_model`.
        name: the client's name.
        namespace: the client's name of its group; None: it has none.
        is_custom: its input is a text.
    """

    tool: Tool
    name: str
    namespace: str | None = None
    is_custom: bool = False


def name_for_model(namespace: str | None, name: str) -> str:
    """The name of a tool in the prompt."""
    return name if namespace is None else f"{namespace}__{name}"


def arguments_of_text(text: str) -> str:
    """The arguments that contain the input of a custom tool, as the model writes them."""
    return json.dumps({_INPUT: text}, ensure_ascii=False)


def text_of_arguments(arguments: str) -> str:
    """The input of a custom tool in the arguments, which may be cut anywhere."""
    try:
        value = pydantic_core.from_json(arguments, allow_partial="trailing-strings")
    except ValueError:
        return ""
    text = value.get(_INPUT) if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""


def offered_tools(params: Sequence[ToolParam] | None) -> list[OfferedTool]:
    """The tools that the model sees.

    Raises:
        RequestError: there are too many tools.
    """
    found: list[OfferedTool] = []
    for param in params or ():
        if isinstance(param, NamespaceTool):
            found += [_offered(tool, param) for tool in param.tools]
        elif not isinstance(param, LeftOutTool):
            found.append(_offered(param, None))
    if len(found) > MAX_TOOLS:
        raise RequestError(f"tools: the limit is {MAX_TOOLS}, including the tools in namespaces", param="tools")
    return found


def left_out(params: Sequence[ToolParam] | None) -> list[str]:
    """The tools that the box does not have, as ignored parameters."""
    return [f"tools[].{param.type}" for param in params or () if isinstance(param, LeftOutTool)]


def choice_of(param: ChoiceParam | None, offered: Sequence[OfferedTool]) -> ToolChoice:
    """The choice among the tools."""
    if isinstance(param, NamedChoice):
        return ToolChoice("named", _chosen(param.name, offered))
    if isinstance(param, AllowedChoice):
        names = [_chosen(entry.name, offered) for entry in param.tools if entry.name is not None]
        return ToolChoice(param.mode, allowed=frozenset(names))
    return ToolChoice(param or "auto")


def _chosen(name: str, offered: Sequence[OfferedTool]) -> str:
    """The name for the model of a tool that the client may name with or without its namespace."""
    if any(each.tool.name == name for each in offered):
        return name
    return next((each.tool.name for each in offered if each.name == name), name)


def _offered(param: FunctionTool | CustomTool, group: NamespaceTool | None) -> OfferedTool:
    namespace = group.name if group else None
    description = param.description or ""
    if group and group.description:
        description = f"{group.description}\n{description}" if description else group.description
    name = name_for_model(namespace, param.name)
    if isinstance(param, CustomTool):
        if isinstance(param.format, GrammarInput):
            description += f"\nThe input must match this {param.format.syntax} grammar:\n{param.format.definition}"
        return OfferedTool(Tool(name, description, _TEXT_ARGUMENT, strict=True), param.name, namespace, is_custom=True)
    return OfferedTool(Tool(name, description, param.parameters, bool(param.strict)), param.name, namespace)
