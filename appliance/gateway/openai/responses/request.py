"""Converts a checked body of OpenAI's Responses API to a conversation, sampling settings, and repeated fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.artefact.manifest import Generation
from appliance.errors import RequestError
from appliance.gateway.bodies.sampling import sampling
from appliance.gateway.chat.continuation import is_continuable
from appliance.gateway.chat.request import ChatRequest, ClientNames
from appliance.gateway.openai.responses.conversation import Turn
from appliance.gateway.openai.responses.offered import OfferedTool, choice_of
from appliance.gateway.openai.responses.schema import (
    ObjectFormat,
    PromptFields,
    ResponseBody,
    SchemaFormat,
)
from appliance.gateway.openai.responses.tool_schema import FunctionTool, ToolParam

LOGPROBS = "message.output_text.logprobs"
_NAMES = ClientNames(messages="input", response_format="text.format", thinking="reasoning.effort")


def chat_request(asked: PromptFields, turns: Sequence[Turn], offered: Sequence[OfferedTool]) -> ChatRequest:
    """The conversation that the model should continue; `turns` are the earlier turns and the input's."""
    instructions = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    effort = asked.reasoning.effort if asked.reasoning else None
    return ChatRequest(
        continues=is_continuable(turns),
        messages=[*instructions, *turns],
        tools=tuple(each.tool for each in offered),
        tool_choice=choice_of(asked.tool_choice, offered),
        parallel_tool_calls=asked.parallel_tool_calls is not False,
        thinking=None if effort is None else effort != "none",
        response_format=_rules(asked),
        format_is_strict=_is_strict(asked),
        client_names=_NAMES,
    )


def response_sampling(asked: ResponseBody, defaults: Generation) -> dict[str, Any]:
    """The engine's settings.

    Raises:
        RequestError: two parameters contradict each other.
    """
    settings = sampling(asked, defaults)
    if asked.max_output_tokens is not None:
        settings["max_tokens"] = asked.max_output_tokens
    if LOGPROBS in (asked.include or ()):
        settings["logprobs"] = asked.top_logprobs or 0
    elif asked.top_logprobs:
        raise RequestError(f"top_logprobs needs {LOGPROBS!r} in include", param="top_logprobs")
    if asked.stream_options is not None and not asked.stream:
        raise RequestError("stream_options needs stream", param="stream_options")
    return settings


def echo(asked: ResponseBody, settings: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The request fields that an answer repeats, by OpenAI's names, with the values that were used."""
    effort = asked.reasoning.effort if asked.reasoning else None
    form = asked.text.format if asked.text else None
    return {
        "model": model,
        "background": False,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "max_tool_calls": None,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": asked.previous_response_id,
        "reasoning": {"effort": effort, "summary": None},
        "service_tier": "default",
        "store": asked.store is not False,
        "temperature": settings["temperature"],
        "text": {"format": form.model_dump(by_alias=True) if form else {"type": "text"}, "verbosity": "medium"},
        "tool_choice": (asked.tool_choice or "auto")
        if isinstance(asked.tool_choice, str | None)
        else asked.tool_choice.model_dump(exclude_none=True),
        "tools": [_echoed(tool) for tool in asked.tools or ()],
        "top_logprobs": asked.top_logprobs or 0,
        "top_p": settings["top_p"],
        "truncation": "disabled",
        "user": None,
    }


def _echoed(tool: ToolParam) -> dict[str, Any]:
    if not isinstance(tool, FunctionTool):
        return tool.model_dump(by_alias=True, exclude_none=True)
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        # The value that was used: a schema is enforced only if the client asked for it.
        "strict": bool(tool.strict),
    }


def _is_strict(asked: PromptFields) -> bool:
    form = asked.text.format if asked.text else None
    return isinstance(form, SchemaFormat) and form.strict is True


def _rules(asked: PromptFields) -> dict[str, Any] | None:
    form = asked.text.format if asked.text else None
    if isinstance(form, SchemaFormat):
        return {"json": form.schema_}
    return {"json_object": True} if isinstance(form, ObjectFormat) else None
