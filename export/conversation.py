"""How a model converses, read from its own template and tokens: what its template shows it of its calls, it writes.

The template is tried with a call of a tool, so the form is what comes out and not what a name in its source suggests. A
form that this program does not know is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer

from appliance.artefact.manifest import Conversation
from appliance.artefact.parts import CALL_OPEN, THINK_CLOSE
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
# Of a conversation that is tried.
MAX_CHARACTERS = 1 << 20
# The catalogue's names of the forms, and how the call above looks in each.
_FORMS: Mapping[str, re.Pattern[str]] = {
    "hermes": re.compile(CALL_OPEN + r'\s*\{\s*"name"\s*:\s*"get_weather"'),
    "qwen3-coder": re.compile(CALL_OPEN + r"\s*<function=get_weather>"),
}


def conversation_of(template: RunningTemplate, source: str, tokenizer: Tokenizer) -> Conversation:
    """Read it.

    Args:
        template: the running template.
        source: its text.
        tokenizer: of the model; marks that are no tokens of it are no marks.
    """
    thinking = Conversation(thinking=THINK_CLOSE in source)
    tools = Conversation(tools=_form(template))
    return Conversation(
        tools=tools.tools if _has_marks(tools, tokenizer) else "",
        thinking=thinking.thinking and _has_marks(thinking, tokenizer),
    )


def check_marks(conversation: Conversation, tokenizer: Tokenizer) -> None:
    """Refuse what the gateway would refuse.

    Raises:
        UnsupportedError: a mark of the conversation is no token of the model.
    """
    for mark in conversation.marks:
        if tokenizer.token_to_id(mark) is None:
            raise UnsupportedError(
                f"according to the catalogue, the model writes {mark}, which is not a token of its tokenizer",
                hint="correct the conversation of the model's catalogue entry and pull the model again",
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
