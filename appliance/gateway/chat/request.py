"""A conversation request, independent of any protocol. Values only; `prepare` rejects unsupported requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

_NO_ARGUMENTS: Mapping[str, Any] = {"properties": {}, "additionalProperties": False}


@dataclass(frozen=True)
class Tool:
    """A function that the model may call.

    Attributes:
        name: letters, digits, "_" and "-".
        description: what it does, for the model; may be empty.
        parameters: JSON schema of its arguments; None: it takes no arguments.
        strict: a grammar enforces the schema of the arguments.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool = False

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema of its arguments. They are always an object, even if `parameters` would allow other values."""
        return {**(self.parameters or _NO_ARGUMENTS), "type": "object"}


@dataclass(frozen=True)
class ToolChoice:
    """Whether the model calls tools: if it decides so, never, at least one, or the one with this name.

    Attributes:
        mode: see above.
        name: the tool of "named".
        allowed: names of the tools that the model may call; None: all.
    """

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""
    allowed: frozenset[str] | None = None


@dataclass(frozen=True)
class ClientNames:
    """The client API's names for the parts of a conversation, for error messages."""

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
        messages: the input of chat templates, in Hugging Face's format: `role`, `content` (a text), and optionally
            `name`, `reasoning_content`, `tool_call_id`, `tool_calls` (a list of `{"id", "type": "function",
            "function": {"name", "arguments"}}` with the arguments as the JSON text that the model wrote).
        tools: the tools that the model may call.
        tool_choice: see ToolChoice.
        parallel_tool_calls: False allows only one call per answer.
        thinking: whether the model thinks first; None: the model's template decides.
        response_format: the format of the answer's text, as for the engine: an object with one of "json" (a schema)
            and "json_object" (true); None for free text.
        format_is_strict: whether the request fails if not all of the format can be enforced.
        template_options: more variables for the template; those that the template does not read have no effect.
        continues: the answer continues the last message, see `continuation`; otherwise it is a new turn.
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
