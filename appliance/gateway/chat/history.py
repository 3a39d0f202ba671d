"""A conversation's messages for the template: arguments of calls become objects that keep their original text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pydantic_core

from appliance.chat_template.json_text import JsonText
from appliance.errors import RequestError
from appliance.gateway.chat.request import Tool

# The schema of a function without parameters.
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


def for_template(messages: Sequence[Mapping[str, Any]], param: str) -> list[dict[str, Any]]:
    """Return the messages with the arguments of all calls parsed, because templates expect objects, not texts.

    The objects keep the text from which they were parsed. So a template renders exactly the characters that the model
    wrote, and a growing conversation keeps its prefix. The text may be incomplete or invalid JSON: an answer that was
    cut, or a model's error, is sent back unchanged.

    Raises:
        RequestError: arguments do not begin like a JSON object; `param` is the client's name for the messages.
    """
    return [_message(message, f"{param}[{index}]") for index, message in enumerate(messages)]


def uses_tools(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the conversation contains calls or their results."""
    return any(message["role"] == "tool" or message.get("tool_calls") for message in messages)


def texts(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The contents of the messages, and the arguments of their calls."""
    for message in messages:
        yield message["content"]
        yield from (call["function"]["arguments"] for call in message.get("tool_calls") or ())


def tool_for_template(tool: Tool) -> dict[str, Any]:
    """Return the tool in the format that OpenAI and Hugging Face document; the keys are always in the same order."""
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
    # Some clients send an empty text for no arguments.
    source = text if text.strip() else "{}"
    if not source.lstrip().startswith("{"):
        raise RequestError(f"{param} must be a JSON object", param=param)
    return {**call, "function": {**function, "arguments": _object(source)}}


def _object(source: str) -> JsonText:
    """The object; if it was cut, the part before the cut; if it is invalid, an empty object."""
    try:
        # White space around a complete object comes from the client, not from the model.
        return JsonText(_read(source, partly=False), source.strip())
    except ValueError:
        pass
    try:
        return JsonText(_read(source, partly=True), source)
    except ValueError:
        return JsonText({}, source)


def _read(source: str, *, partly: bool) -> dict[str, Any]:
    """Parse a text that begins with a brace; raises ValueError."""
    found: dict[str, Any] = pydantic_core.from_json(
        source, allow_inf_nan=False, allow_partial="trailing-strings" if partly else False
    )
    return found
