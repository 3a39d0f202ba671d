"""Converts the bodies of Ollama's API to a `ChatRequest`, which is the same for all protocols and models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.gateway.bodies.tools import tools_of
from appliance.gateway.chat.continuation import is_continuable
from appliance.gateway.chat.request import ChatRequest, ClientNames
from appliance.gateway.ollama.schema import GenerateBody, Message, OllamaChatBody

Turn = dict[str, Any]
_NAMES = ClientNames(response_format="format", thinking="think")
_PROMPT_NAMES = ClientNames(messages="prompt", response_format="format", thinking="think")


def chat_request(body: OllamaChatBody) -> ChatRequest:
    """The conversation of a body that has messages."""
    turns = _turns(body.messages)
    return ChatRequest(
        messages=turns,
        tools=tools_of(body.tools),
        thinking=_thinking(body),
        response_format=structure_of(body),
        continues=is_continuable(turns),
        client_names=_NAMES,
    )


def prompt_request(body: GenerateBody) -> ChatRequest:
    """A prompt as a conversation with one turn of the user."""
    system = [{"role": "system", "content": body.system}] if body.system else []
    return ChatRequest(
        messages=[*system, {"role": "user", "content": body.prompt}],
        thinking=_thinking(body),
        response_format=structure_of(body),
        client_names=_PROMPT_NAMES,
    )


def structure_of(body: OllamaChatBody | GenerateBody) -> Mapping[str, Any] | None:
    """The format as the engine's `structured_outputs`; None for a free answer."""
    if isinstance(body.format, dict):
        return {"json": body.format}
    return {"json_object": True} if body.format else None


def _thinking(body: OllamaChatBody | GenerateBody) -> bool | None:
    return None if body.think is None else body.think is not False


def _turns(messages: Sequence[Message]) -> list[Turn]:
    """The messages as chat templates expect them; calls and results without an id get one."""
    turns: list[Turn] = []
    # The name and the id of each call without a result.
    waiting: list[tuple[str, str]] = []
    for message in messages:
        turn: Turn = {"role": message.role, "content": message.content}
        if message.role == "tool":
            turn["tool_call_id"] = message.tool_call_id or _next_id(waiting, message.tool_name)
            waiting = [call for call in waiting if call[1] != turn["tool_call_id"]]
            if message.tool_name is not None:
                turn["name"] = message.tool_name
        if message.role == "assistant" and message.thinking is not None:
            turn["reasoning_content"] = message.thinking
        if message.role == "assistant" and message.tool_calls:
            turn["tool_calls"] = [
                _call(call.function.name, call.function.arguments, call.id or f"call_{len(turns)}_{number}")
                for number, call in enumerate(message.tool_calls)
            ]
            waiting = [(call["function"]["name"], call["id"]) for call in turn["tool_calls"]]
        turns.append(turn)
    return turns


def _call(name: str, arguments: Mapping[str, Any], call_id: str) -> dict[str, Any]:
    # With the separators that models write, so that a turn that the client sends back equals the original turn.
    text = json.dumps(arguments, ensure_ascii=False)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def _next_id(waiting: Sequence[tuple[str, str]], name: str | None) -> str:
    """The id of the call that a result without an id belongs to: the first of this name, or else the first."""
    named = [call_id for called, call_id in waiting if called == name]
    return next(iter([*named, *(call_id for _, call_id in waiting)]), "call")
