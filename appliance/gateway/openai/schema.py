"""The supported fields of the request bodies of OpenAI's API; `parameters` has the rules for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from appliance.gateway.bodies.messages import Message
from appliance.gateway.bodies.sampling import MAX_COUNT, Int64, SamplingBody, TokenId
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.bodies.tools import MAX_TOOLS, ResponseFormat, ToolChoiceParam, ToolParam

MAX_CHOICES = 8


class StreamOptions(Strict):
    """`stream_options`."""

    HINTS: ClassVar[Mapping[str, str]] = {"include_obfuscation": "the box does not pad events"}

    include_usage: bool | None = None


_CONTEXT = "as in Ollama: maximum of prompt plus answer; the model's own context is a maximum too"
_CHOICES = "number of answers; the first uses `seed`, the others use seeds that are derived from it"


class CompletionBody(SamplingBody):
    """Body of `/v1/completions`."""

    model: str = Field(description="required; a name from `/v1/models`")
    prompt: str | Many[str] | Many[TokenId] | Many[Many[TokenId]] = Field(
        description="required; text or token ids; a list may contain only one prompt"
    )
    logprobs: int | None = Field(None, ge=0, le=20, description="number of alternatives besides the chosen token")
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: StreamOptions | None = Field(None, description="`include_usage`; only with `stream`")
    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description=_CHOICES)
    suffix: str | None = Field(None, description="text after the completion, for models with fill-in-the-middle tokens")
    num_ctx: int | None = Field(None, ge=1, le=MAX_COUNT, description=_CONTEXT)


class ChatBody(SamplingBody):
    """Body of `/v1/chat/completions`."""

    model: str = Field(description="required; a name from `/v1/models`")
    messages: Many[Message] = Field(
        min_length=1,
        description="required; roles system, developer, user, assistant, tool; text; the template receives `name`"
        " and the assistant's `tool_calls` and `reasoning_content`",
    )
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_COUNT, description="the newer name of `max_tokens`")
    logprobs: bool | None = Field(None, description="log-probabilities of the chosen tokens")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="needs `logprobs`")
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: StreamOptions | None = Field(None, description="`include_usage`; only with `stream`")
    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description=_CHOICES)
    tools: list[ToolParam] | None = Field(
        None,
        max_length=MAX_TOOLS,
        description="functions, for models whose manifest defines tool calls; `strict` enforces the schema of the"
        " arguments",
    )
    tool_choice: ToolChoiceParam | None = Field(
        None,
        description="`auto`, `none`, `required`, one function or `allowed_tools`; `required` and one function enforce"
        " the schemas",
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call")
    response_format: ResponseFormat | None = Field(
        None, description="`text`, `json_object` or `json_schema`; the answer always matches it"
    )
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="`none` switches thinking off, all other values switch it on; ignored if the model cannot"
    )
    chat_template_kwargs: dict[str, str | Int64 | float | bool | None] | None = Field(
        None,
        description="as in vLLM; `enable_thinking`, and other variables of the model's template",
    )
    continue_final_message: bool | None = Field(
        None,
        description="as in vLLM; true: the answer continues the last message; default: true if that is an assistant's"
        " text without tool calls",
    )
    add_generation_prompt: bool | None = Field(None, description="as in vLLM; the opposite of `continue_final_message`")
    num_ctx: int | None = Field(None, ge=1, le=MAX_COUNT, description=_CONTEXT)


class EmbeddingBody(Strict):
    """The checked part of the body of `/v1/embeddings`."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(description="required; no model of today embeds")
