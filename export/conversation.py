"""Determines a model's tool call format and thinking from its own template and tokens.

The template renders a conversation with a tool call: the rendered text shows the format, and names in the template's
source do not matter. The model writes calls in the format that its template renders. An unknown format counts as none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer

from appliance.artefact.manifest import Conversation
from appliance.artefact.parts import CALL_OPEN, THINK_CLOSE
from appliance.catalog.entry import Conversation as Stated
from appliance.chat_template.running import RunningTemplate
from appliance.errors import RequestError, UnsupportedError

_TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_CALLED: Mapping[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "Oslo"}},
}
_TURNS = (
    {"role": "user", "content": "How is the weather in Oslo?"},
    {"role": "assistant", "content": "", "tool_calls": [_CALLED]},
    {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": "rain"},
)
# Limit of the rendered conversation.
MAX_CHARACTERS = 1 << 20
# The catalogue's names of the formats, and the pattern of the call above in each.
_FORMS: Mapping[str, re.Pattern[str]] = {
    "hermes": re.compile(CALL_OPEN + r'\s*\{\s*"name"\s*:\s*"get_weather"'),
    "qwen3-coder": re.compile(CALL_OPEN + r"\s*<function=get_weather>"),
}


def conversation_of(template: RunningTemplate, source: str, tokenizer: Tokenizer) -> Conversation:
    """Determine the model's conversation settings.

    Args:
        template: the running template.
        source: its text.
        tokenizer: the model's tokenizer; marks that are not tokens are ignored.
    """
    thinking = Conversation(thinking=THINK_CLOSE in source)
    tools = Conversation(tools=_form(template))
    return Conversation(
        tools=tools.tools if _has_marks(tools, tokenizer) else "",
        thinking=thinking.thinking and _has_marks(thinking, tokenizer),
    )


def stated_conversation(stated: Stated | None) -> Conversation | None:
    """The conversation that the catalogue or the user states; None if neither does."""
    return None if stated is None else Conversation(stated.tools or "", stated.thinking)


def check_marks(conversation: Conversation, tokenizer: Tokenizer) -> None:
    """Check the marks as the gateway does.

    Raises:
        UnsupportedError: a mark of the conversation is not a token of the model.
    """
    for mark in conversation.marks:
        if tokenizer.token_to_id(mark) is None:
            raise UnsupportedError(
                f"the model's stated conversation needs {mark}, which is not a token of its tokenizer",
                hint="correct the conversation of the catalogue entry or of the option --conversation, and pull again",
            )


def _form(template: RunningTemplate) -> str:
    if "tools" not in template.variables:
        return ""
    try:
        rendered = template.render_now({"messages": _TURNS, "tools": [_TOOL], "max_characters": MAX_CHARACTERS})
    except RequestError:
        return ""
    return next((name for name, pattern in _FORMS.items() if pattern.search(rendered)), "")


def _has_marks(conversation: Conversation, tokenizer: Tokenizer) -> bool:
    return all(tokenizer.token_to_id(mark) is not None for mark in conversation.marks)
