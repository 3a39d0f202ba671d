"""Lets the model continue an assistant's turn that the client began: the prompt ends where the turn's text ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.errors import RequestError

# Two noncharacters, which Unicode reserves for internal use.
_END = "\ufdd0\ufdd1"


def is_continuable(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last turn is the assistant's, with a text and without calls: a result must follow a call."""
    last = messages[-1]
    return last["role"] == "assistant" and bool(last["content"]) and not last.get("tool_calls")


def open_ended(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the messages for the template, with a mark after the last message's text."""
    *before, last = messages
    return [*before, {**last, "content": last["content"] + _END}]


def cut_behind(text: str, open_content: str, param: str) -> str:
    """Return the rendered text of `open_ended` messages, up to the end of the last message's text.

    Args:
        text: the rendered text.
        open_content: the last message's content as `open_ended` returned it.
        param: the client's name for the messages.

    Raises:
        RequestError: the template changes the text, so the model would not continue the text that the client sent.
    """
    prompt, mark, _ = text.rpartition(_END)
    if not mark or not prompt.endswith(open_content.removesuffix(_END)):
        raise RequestError(
            f"{param}: the model's chat template changes the text of the last message, so the model cannot continue it",
            hint="remove white space at the beginning and the end of the text, or end with a user's message",
            param=param,
        )
    return prompt
