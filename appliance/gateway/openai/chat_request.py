"""Converts a checked chat body to a conversation. `prepare` rejects what the model does not support."""

from __future__ import annotations

from dataclasses import replace

from appliance.errors import RequestError
from appliance.gateway.bodies.messages import for_template
from appliance.gateway.bodies.structures import structure_asked
from appliance.gateway.bodies.tools import choice_of, tools_of
from appliance.gateway.chat.continuation import is_continuable
from appliance.gateway.chat.request import ChatRequest, ClientNames
from appliance.gateway.openai.schema import ChatBody

_SWITCH = "enable_thinking"


def chat_request(body: ChatBody) -> ChatRequest:
    """Return the conversation.

    Raises:
        RequestError: two parameters contradict each other.
    """
    options = dict(body.chat_template_kwargs or {})
    switch = options.pop(_SWITCH, None)
    if switch is not None and not isinstance(switch, bool):
        raise RequestError(
            f"chat_template_kwargs.{_SWITCH} must be true or false", param=f"chat_template_kwargs.{_SWITCH}"
        )
    effort = None if body.reasoning_effort is None else body.reasoning_effort != "none"
    if switch is not None and effort is not None and switch is not effort:
        raise RequestError(
            f"reasoning_effort and chat_template_kwargs.{_SWITCH} contradict each other", param="reasoning_effort"
        )
    names = ClientNames() if switch is None else ClientNames(thinking=f"chat_template_kwargs.{_SWITCH}")
    messages = for_template(body.messages)
    structure = structure_asked(body)
    names = replace(names, response_format=structure.name)
    return ChatRequest(
        messages=messages,
        tools=tools_of(body.tools),
        tool_choice=choice_of(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        thinking=effort if switch is None else switch,
        response_format=structure.wanted,
        format_is_strict=structure.is_strict,
        template_options=options,
        continues=_continues(body, is_continuable(messages)),
        client_names=names,
    )


def _continues(body: ChatBody, is_possible: bool) -> bool:
    """Whether the answer continues the last message.

    Raises:
        RequestError: two parameters contradict each other, or the last message cannot be continued as requested.
    """
    wanted, separate = body.continue_final_message, body.add_generation_prompt
    if wanted is not None and wanted is separate:
        raise RequestError(
            "continue_final_message and add_generation_prompt contradict each other", param="continue_final_message"
        )
    if wanted is None and separate is not None:
        wanted = not separate
    if wanted and not is_possible:
        name = "add_generation_prompt" if body.continue_final_message is None else "continue_final_message"
        raise RequestError(
            f"{name}: the last message is not an assistant's text that the model can continue", param=name
        )
    return is_possible if wanted is None else wanted
