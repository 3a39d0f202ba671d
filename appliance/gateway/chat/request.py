"""What a client wants of a conversation, in no protocol's words. Values only; `prepare` says what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Tool:
    """A function that the model may ask for.

    Attributes:
        name: letters, digits, "_" and "-".
        description: what it does, for the model; may be empty.
        parameters: JSON schema of its arguments; None takes none.
        strict: the arguments must follow the schema, by construction.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool = False


@dataclass(frozen=True)
class ToolChoice:
    """Whether the model calls tools: as it likes, never, at least one, or the one of this name."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""


@dataclass(frozen=True)
class ClientNames:
    """What the client's API calls the parts of a conversation, for errors about them."""

    messages: str = "messages"
    tools: str = "tools"
    tool_choice: str = "tool_choice"
    response_format: str = "response_format"
    thinking: str = "reasoning_effort"
    template_options: str = "chat_template_kwargs"


@dataclass(frozen=True)
class ChatRequest:
    """One turn of a conversation.

    Attributes:
        messages: as chat templates take them, in Hugging Face's form: `role`, `content` (a text), and where they apply
            `name`, `reasoning_content`, `tool_call_id`, `tool_calls` (a list of `{"id", "type": "function",
            "function": {"name", "arguments"}}` with the arguments as the JSON text that the model wrote).
        tools: on offer.
        tool_choice: see ToolChoice.
        parallel_tool_calls: False allows one call an answer.
        thinking: whether the model thinks first; None leaves it to the model's template.
        response_format: what the answer's text must be, in the engine's words: an object with one of "json" (a schema)
            and "json_object" (true); None for free text.
        format_is_strict: whether a format that cannot be held in full is refused.
        template_options: more variables for the template; one that it does not read is refused.
        continues: the answer goes on with the last message, see `continuation`; otherwise it is a turn of its own.
        client_names: see ClientNames.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    thinking: bool | None = None
    response_format: Mapping[str, Any] | None = None
    format_is_strict: bool = False
    template_options: Mapping[str, Any] = field(default_factory=dict)
    continues: bool = False
    client_names: ClientNames = ClientNames()
