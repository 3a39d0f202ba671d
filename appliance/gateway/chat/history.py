"""A conversation's messages as the template gets them: calls with their arguments as objects, byte by byte as sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic_core

from appliance.chat_template import JsonText
from appliance.errors import RequestError
from appliance.gateway.chat.request import Tool

# What a function without parameters takes.
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


def for_template(messages: Sequence[Mapping[str, Any]], param: str) -> list[dict[str, Any]]:
    """Return the messages with every call's arguments parsed: templates write objects, not texts.

    The objects keep the text they were parsed from, so that a template renders the very characters that the model
    wrote, and a growing conversation keeps its prefix.

    Raises:
        RequestError: arguments are not a JSON object; `param` is what the client calls the messages.
    """
    return [_message(message, f"{param}[{index}]") for index, message in enumerate(messages)]


def uses_tools(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the conversation has calls or their results in it."""
    return any(message["role"] == "tool" or message.get("tool_calls") for message in messages)


def tool_for_template(tool: Tool) -> dict[str, Any]:
    """Return the tool in the form that OpenAI and Hugging Face document; keys always in the same order."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters or _NO_PARAMETERS}
    return {"type": "function", "function": function}


def _message(message: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not message.get("tool_calls"):
        return dict(message)
    calls = [_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(message["tool_calls"])]
    return {**message, "tool_calls": calls}


def _call(call: Mapping[str, Any], where: str) -> dict[str, Any]:
    function = call["function"]
    text = function["arguments"]
    param = f"{where}.function.arguments"
    try:
        # An empty text is what some clients make of no arguments.
        value = pydantic_core.from_json(text, allow_inf_nan=False) if text.strip() else {}
    except ValueError as error:
        raise RequestError(f"{param} is not valid JSON: {error}", param=param) from error
    if not isinstance(value, dict):
        raise RequestError(f"{param} must be a JSON object", param=param)
    source = text.strip() or json.dumps(value)
    return {**call, "function": {**function, "arguments": JsonText(value, source)}}
