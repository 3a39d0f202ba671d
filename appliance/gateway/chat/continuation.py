"""Lets the model go on with an assistant's turn that the client began: the prompt ends where that turn's text does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.errors import RequestError

# Two noncharacters, which Unicode keeps for a program's own use.
_END = "\ufdd0\ufdd1"


def is_continuable(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last turn is the assistant's, with a text and without calls: behind a call comes its result."""
    last = messages[-1]
    return last["role"] == "assistant" and bool(last["content"]) and not last.get("tool_calls")


def open_ended(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the messages for the template, with a mark behind the last one's text."""
    *before, last = messages
    return [*before, {**last, "content": last["content"] + _END}]


def cut_behind(text: str, open_content: str, param: str) -> str:
    """Return what the template rendered of `open_ended` messages, up to the end of the last one's text.

    Args:
        text: what was rendered.
        open_content: the last message's content as `open_ended` returned it.
        param: what the client calls the messages.

    Raises:
        RequestError: the template changes the text, so that the model would not go on from what the client sent.
    """
    prompt, mark, _ = text.rpartition(_END)
    if not mark or not prompt.endswith(open_content.removesuffix(_END)):
        raise RequestError(
            f"{param}: the model's chat template changes the text of the last message, so the model cannot continue it",
            hint="remove white space at the beginning and the end of the text, or end with a user's message",
            param=param,
        )
    return prompt
