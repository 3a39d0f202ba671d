"""Determines a model's tool call format and thinking from its own template and tokens.

The template renders a conversation with a tool call: the rendered text shows the format, and names in the template's
source do not matter. The model writes calls in the format that its template renders. An unknown format counts as none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
# The variable with which a template gets the tools.
_TOOLS = "tools"
# Limit of the rendered conversation.
MAX_CHARACTERS = 1 << 20
# The catalogue's names of the formats, and the pattern of the call above in each.
_FORMS: Mapping[str, re.Pattern[str]] = {
    "hermes": re.compile(CALL_OPEN + r'\s*\{\s*"name"\s*:\s*"get_weather"'),
    "qwen3-coder": re.compile(CALL_OPEN + r"\s*<function=get_weather>"),
}


@dataclass(frozen=True)
class Shown:
    """What a model's template and tokens show.

    Attributes:
        conversation: see Conversation.
        notes: lines for people about what the template has and the box does not support.
    """

    conversation: Conversation = field(default_factory=Conversation)
    notes: tuple[str, ...] = ()


def conversation_of(template: RunningTemplate, source: str, tokenizer: Tokenizer) -> Shown:
    """Determine the model's conversation settings.

    Args:
        template: the running template.
        source: its text.
        tokenizer: the model's tokenizer; marks that are not tokens are ignored.
    """
    notes = []
    tools = _form(template)
    if not tools and _TOOLS in template.variables:
        notes.append("the chat template writes tool calls in a format that is not supported: the model has no tools")
    missing = _missing_mark(Conversation(tools), tokenizer)
    if missing:
        notes.append(f"{missing} of the chat template is not a token of the model: the model has no tools")
        tools = ""
    thinking = THINK_CLOSE in source
    missing = _missing_mark(Conversation(thinking=thinking), tokenizer)
    if missing:
        notes.append(f"{missing} of the chat template is not a token of the model: its thoughts are part of the answer")
        thinking = False
    return Shown(Conversation(tools, thinking), tuple(notes))


def stated_conversation(stated: Stated | None) -> Conversation | None:
    """The conversation that the catalogue or the user states; None if neither does."""
    return None if stated is None else Conversation(stated.tools or "", stated.thinking)


def check_marks(conversation: Conversation, tokenizer: Tokenizer) -> None:
    """Check the marks as the gateway does.

    Raises:
        UnsupportedError: a mark of the conversation is not a token of the model.
    """
    missing = _missing_mark(conversation, tokenizer)
    if missing:
        raise UnsupportedError(
            f"the model's stated conversation needs {missing}, which is not a token of its tokenizer",
            hint="correct the conversation of the catalogue entry or of the option --conversation, and pull again",
        )


def _form(template: RunningTemplate) -> str:
    if _TOOLS not in template.variables:
        return ""
    try:
        rendered = template.render_now({"messages": _TURNS, _TOOLS: [_TOOL], "max_characters": MAX_CHARACTERS})
    except RequestError:
        return ""
    return next((name for name, pattern in _FORMS.items() if pattern.search(rendered)), "")


def _missing_mark(conversation: Conversation, tokenizer: Tokenizer) -> str:
    """The first mark that is not a token of the model; empty if there is none."""
    return next((mark for mark in conversation.marks if tokenizer.token_to_id(mark) is None), "")
