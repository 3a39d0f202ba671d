"""The turns of a conversation in OpenAI's format, with tool calls and results, and their conversion for templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from appliance.gateway.bodies.content import content_text
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.bodies.tags import type_tag
from appliance.gateway.bodies.text_file import TextFile

_CACHE = "the prefix cache uses the content of the prompt"


class TextPart(Strict):
    """A text part of a message."""

    HINTS: ClassVar[Mapping[str, str]] = {"cache_control": _CACHE, "prompt_cache_breakpoint": _CACHE}

    type: Literal["text"]
    text: str


class FilePart(Strict):
    """A text file in a user's message."""

    HINTS: ClassVar[Mapping[str, str]] = {"cache_control": _CACHE, "prompt_cache_breakpoint": _CACHE}

    type: Literal["file"]
    file: TextFile

    @property
    def text(self) -> str:
        """The document for the prompt."""
        return self.file.text


Content = str | Many[TextPart]
UserContent = (
    str
    | Many[
        Annotated[
            Annotated[TextPart, Tag("<text>")] | Annotated[FilePart, Tag("<file>")],
            Discriminator(
                type_tag,
                custom_error_type="unknown_type",
                custom_error_message="the type must be text, or file with a text; all input is text",
            ),
        ]
    ]
)


class CalledFunction(Strict):
    """A call's function; `arguments` is the JSON text that the model wrote."""

    name: str
    arguments: str


class CallParam(Strict):
    """A tool call in an assistant's turn. Clients that merge a stream's deltas keep the `index`, so it is accepted."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


class _Turn(Strict):
    HINTS: ClassVar[Mapping[str, str]] = {
        "cache_control": _CACHE,
        "id": "the position of a message identifies it",
        "provider_specific_fields": "describes the server of an earlier answer",
        "reasoning_details": "the text of the thinking is in reasoning_content",
    }

    content: Content
    name: str | None = None

    def _fields(self, role: str, content: Content | UserContent | None) -> dict[str, Any]:
        """The fields that chat templates expect in every turn."""
        message = {"role": role, "content": content_text(content)}
        return message if self.name is None else {**message, "name": self.name}


class SystemMessage(_Turn):
    """The application's instructions for the model; `developer` is OpenAI's newer name for `system`."""

    role: Literal["system", "developer"]

    def for_template(self) -> dict[str, Any]:
        """The message as chat templates expect it."""
        return self._fields("system", self.content)


class UserMessage(_Turn):
    """The user's turn."""

    role: Literal["user"]
    content: UserContent  # type: ignore[assignment]

    def for_template(self) -> dict[str, Any]:
        """The message as chat templates expect it."""
        return self._fields("user", self.content)


class AssistantMessage(_Turn):
    """The model's turn. Fields that may only be null come from clients that send our own answers back.

    `reasoning` is the newer name of `reasoning_content` in other servers.
    """

    HINTS: ClassVar[Mapping[str, str]] = {**_Turn.HINTS, "annotations": "describe the text of an earlier answer"}

    role: Literal["assistant"]
    content: Content | None = None  # type: ignore[assignment]
    reasoning_content: str | None = Field(None, validation_alias=AliasChoices("reasoning_content", "reasoning"))
    tool_calls: Many[CallParam] | None = None
    refusal: str | None = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _says_something(self) -> AssistantMessage:
        if self.content is None and not self.tool_calls and self.refusal is None:
            raise PydanticCustomError("content_missing", "an assistant's message needs content or tool_calls")
        return self

    def for_template(self) -> dict[str, Any]:
        """The message as chat templates expect it."""
        message = self._fields("assistant", self.refusal if self.content is None else self.content)
        if self.reasoning_content is not None:
            message["reasoning_content"] = self.reasoning_content
        if self.tool_calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": call.function.model_dump()} for call in self.tool_calls
            ]
        return message


class ToolMessage(_Turn):
    """The result of a tool call."""

    role: Literal["tool"]
    tool_call_id: str

    def for_template(self) -> dict[str, Any]:
        """The message as chat templates expect it."""
        return {**self._fields("tool", self.content), "tool_call_id": self.tool_call_id}


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]
ROLES = ("system", "developer", "user", "assistant", "tool")


def for_template(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as chat templates expect them."""
    return [message.for_template() for message in messages]
