"""The supported fields of request bodies of Ollama's API; `parameters` has the rules for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from appliance.gateway.bodies.sampling import MAX_COUNT, SamplingBody
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.bodies.tools import MAX_TOOLS, ToolParam, only_tools_of_type
from appliance.gateway.ollama.keep_alive import KEEP_ALIVE

# Ollama's limit.
_MAX_ALTERNATIVES = 20
_MODEL = "required; a name from `/api/tags`; `:latest` at its end has no effect"
_STREAM = "lines of JSON; default: true"


def _no_images(value: list[Any]) -> list[Any]:
    if value:
        raise PydanticCustomError("images", "all input is text")
    return value


class CalledFunction(Strict):
    """A call's function."""

    HINTS: ClassVar[Mapping[str, str]] = {"index": "the position of a call identifies it"}

    name: str
    arguments: dict[str, Any]


class CallParam(Strict):
    """A tool call in an assistant's turn."""

    id: str | None = None
    type: Literal["function"] | None = None
    function: CalledFunction


class Message(Strict):
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    thinking: str | None = None
    images: Annotated[list[Any], AfterValidator(_no_images)] | None = None
    tool_calls: Many[CallParam] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class Options(SamplingBody):
    """The object `options`: the sampling parameters, and the size of the context."""

    num_ctx: int | None = Field(
        None, ge=1, le=MAX_COUNT, description="maximum of prompt plus answer; the model's own context is a maximum too"
    )


class _KeptBody(Strict):
    """What the requests for a model have in common."""

    model: str = Field(description=_MODEL)
    keep_alive: Annotated[float | None, KEEP_ALIVE] = Field(
        None,
        description='seconds, or a duration such as `"5m"`, for which a model on demand stays loaded after the request;'
        " negative: until another model needs its memory; default: `keep_alive_s` of the model",
    )


class _AnswerBody(_KeptBody):
    """What `/api/chat` and `/api/generate` have in common."""

    stream: bool = Field(True, description=_STREAM)
    format: Literal["json", ""] | dict[str, Any] | None = Field(
        None, description='`"json"`, or a JSON schema; the answer always matches it'
    )
    options: dict[str, Any] | None = Field(None, description="the table below")
    think: bool | Literal["low", "medium", "high", "max"] | None = Field(
        None, description="a switch or an effort, which switches thinking on; ignored if the model cannot"
    )
    logprobs: bool | None = Field(None, description="log-probabilities of the chosen tokens")
    top_logprobs: int | None = Field(None, ge=0, le=_MAX_ALTERNATIVES, description="needs `logprobs`")


class OllamaChatBody(_AnswerBody):
    """Body of `/api/chat`."""

    messages: Many[Message] = Field(
        [],
        description="roles system, user, assistant, tool; `content`, `thinking`, `tool_calls`, `tool_name`,"
        " `tool_call_id`; without messages, the model is only loaded, or unloaded if `keep_alive` is 0",
    )
    tools: list[Annotated[ToolParam, only_tools_of_type("function")]] | None = Field(
        None, max_length=MAX_TOOLS, description="functions, for models whose manifest defines tool calls"
    )


class GenerateBody(_AnswerBody):
    """Body of `/api/generate`."""

    prompt: str = Field(
        "", description="the user's text; without one, the model is only loaded, or unloaded if `keep_alive` is 0"
    )
    suffix: str | None = Field(
        None, description="text after the answer, for models with fill-in-the-middle tokens; without a chat template"
    )
    system: str | None = Field(None, description="instructions for the chat template")
    raw: bool | None = Field(None, description="true: the prompt is sent to the model without a chat template")


class EmbedBody(_KeptBody):
    """Body of `/api/embed`."""

    input: str | Many[str] = Field("", description="a text, or a list; without one, the model is only loaded")
    truncate: bool = Field(True, description="cut a text that is too long; false: it is an error; default: true")
    dimensions: int | None = Field(None, ge=1, le=1 << 20, description="only the number that the model has")


class EmbedOneBody(_KeptBody):
    """Body of `/api/embeddings`, Ollama's older endpoint."""

    prompt: str = Field("", description="a text; without one, the model is only loaded")


class ShowBody(Strict):
    """Body of `/api/show`."""

    model: str = Field(description=_MODEL)
