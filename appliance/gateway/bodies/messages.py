"""The turns of a conversation in OpenAI's format, with tool calls and results, and their conversion for templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from appliance.gateway.bodies.strict import Many, Strict

Nothing = Annotated[list[Any], Field(max_length=0)] | None


class TextPart(Strict):
    """A text part of a message."""

    type: Literal["text"]
    text: str


Content = str | Many[TextPart]


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
    content: Content
    name: str | None = None

    def _fields(self, role: str, content: Content | None) -> dict[str, Any]:
        """The fields that chat templates expect in every turn."""
        message = {"role": role, "content": _text(content)}
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

    def for_template(self) -> dict[str, Any]:
        """The message as chat templates expect it."""
        return self._fields("user", self.content)


class AssistantMessage(_Turn):
    """The model's turn. Fields that may only be null come from clients that send our own answers back."""

    role: Literal["assistant"]
    content: Content | None = None  # type: ignore[assignment]
    reasoning_content: str | None = None
    tool_calls: Many[CallParam] | None = None
    refusal: None = None
    annotations: Nothing = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _says_something(self) -> AssistantMessage:
        if self.content is None and not self.tool_calls:
            raise PydanticCustomError("content_missing", "an assistant's message needs content or tool_calls")
        return self

    def for_template(self) -> dict[str, Any]:
        """The message as chat templates expect it."""
        message = self._fields("assistant", self.content)
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


def _text(content: Content | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content)
