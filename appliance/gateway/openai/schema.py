"""The request bodies of OpenAI's API as far as they are honoured. What is not a field here is refused by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from appliance.gateway.openai.messages import Message
from appliance.gateway.openai.strict import Many, OnlyFalse, Strict
from appliance.gateway.openai.tools import MAX_TOOLS, ResponseFormat, ToolChoiceParam, ToolParam

MAX_CHOICES = 8
# The engine's own bounds of factors and of counts of tokens.
_MAX_FACTOR = 1e6
_INT64 = 1 << 63
MAX_COUNT = (1 << 31) - 1


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


StopString = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
TokenKey = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]
TokenId = Annotated[int, Field(ge=0, lt=1 << 31)]
Int64 = Annotated[int, Field(ge=-_INT64, lt=_INT64)]


class StreamOptions(Strict):
    """`stream_options`."""

    include_usage: bool | None = None
    include_obfuscation: OnlyFalse | None = None


class SamplingBody(Strict):
    """What both endpoints and the gRPC service understand about choosing tokens; the descriptions go to docs/api.md."""

    temperature: float | None = Field(None, ge=0, le=_MAX_FACTOR, description="0 is greedy; default: the publisher's")
    top_p: float | None = Field(None, gt=0, le=1, description="default: the publisher's")
    top_k: int | None = Field(None, ge=-1, le=MAX_COUNT, description="vLLM's; -1 or 0 is off; default: the publisher's")
    min_p: float | None = Field(None, ge=0, le=1, description="vLLM's")
    repetition_penalty: float | None = Field(
        None, ge=1 / _MAX_FACTOR, le=_MAX_FACTOR, description="vLLM's; default: the publisher's"
    )
    presence_penalty: float | None = Field(None, ge=-2, le=2, description="")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, description="")
    logit_bias: dict[TokenKey, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, max_length=1024, description="token id → bias"
    )
    seed: Int64 | None = Field(None, description="64 bits; same seed, same answer, alone or in a batch")
    stop: (
        Annotated[list[StopString], BeforeValidator(_as_list, json_schema_input_type=StopString | list[StopString])]
        | None
    ) = Field(None, max_length=16, description="a string or up to 16; not part of the answer")
    stop_token_ids: list[TokenId] | None = Field(None, max_length=128, description="vLLM's")
    ignore_eos: bool | None = Field(None, description="vLLM's; go on past the model's end token")
    min_tokens: int | None = Field(None, ge=0, le=MAX_COUNT, description="vLLM's; no end token before so many")
    max_tokens: int | None = Field(None, ge=1, le=MAX_COUNT, description="default: what the context leaves")


_CHOICES = "answers to one prompt; with `seed`, the first has it and the others have seeds that follow from it"


class CompletionBody(SamplingBody):
    """Body of `/v1/completions`."""

    model: str = Field(description="required; a name from `/v1/models`")
    prompt: str | Many[str] | Many[TokenId] | Many[Many[TokenId]] = Field(
        description="required; text or token ids; a list may hold one prompt"
    )
    logprobs: int | None = Field(None, ge=0, le=20, description="how many alternatives beside the chosen token")
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: StreamOptions | None = Field(None, description="`include_usage`; only with `stream`")
    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description=_CHOICES)
    suffix: str | None = Field(
        None, description="what comes after the completion, for models with tokens for filling in the middle"
    )


class ChatBody(SamplingBody):
    """Body of `/v1/chat/completions`."""

    model: str = Field(description="required; a name from `/v1/models`")
    messages: Many[Message] = Field(
        min_length=1,
        description="required; roles system, developer, user, assistant, tool; text content; `tool_calls` and"
        " `reasoning_content` of the assistant's turns and `name` go to the template",
    )
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_COUNT, description="the newer name of `max_tokens`")
    logprobs: bool | None = Field(None, description="of the chosen tokens")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="needs `logprobs`")
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: StreamOptions | None = Field(None, description="`include_usage`; only with `stream`")
    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description=_CHOICES)
    tools: list[ToolParam] | None = Field(
        None,
        max_length=MAX_TOOLS,
        description="functions, for models whose manifest says how they call them; `strict` binds the arguments to the"
        " schema",
    )
    tool_choice: ToolChoiceParam | None = Field(
        None, description="`auto`, `none`, `required` or one function; the last two bind the arguments to the schemas"
    )
    parallel_tool_calls: bool | None = Field(None, description="false: one call at most")
    response_format: ResponseFormat | None = Field(
        None, description="`text`, `json_object` or `json_schema`; the answer follows it by construction"
    )
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="for models that think: `none` turns it off, the others turn it on; there are no degrees"
    )
    chat_template_kwargs: dict[str, str | Int64 | float | bool | None] | None = Field(
        None,
        description="vLLM's; `enable_thinking`, and what else the model's template reads",
    )
    continue_final_message: bool | None = Field(
        None,
        description="vLLM's; whether the answer goes on with the last message's text; default: it does if that is an"
        " assistant's without calls",
    )
    add_generation_prompt: bool | None = Field(None, description="vLLM's; the opposite of `continue_final_message`")


class EmbeddingBody(Strict):
    """Body of `/v1/embeddings`, as far as it is looked at."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(description="required; no model of today embeds")
