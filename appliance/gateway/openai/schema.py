"""The supported fields of the request bodies of OpenAI's API; `parameters` has the rules for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from appliance.gateway.bodies.messages import Message
from appliance.gateway.bodies.sampling import MAX_COUNT, Int64, SamplingBody, TokenId
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.bodies.structures import StructureBody
from appliance.gateway.bodies.tools import MAX_TOOLS, ToolChoiceParam, ToolParam, only_tools_of_type
from appliance.inference.sampling import MAX_LOGPROBS

MAX_CHOICES = 8
MAX_ANSWERS = 128


class StreamOptions(Strict):
    """`stream_options`."""

    HINTS: ClassVar[Mapping[str, str]] = {"include_obfuscation": "the box does not pad events"}

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


_CONTEXT = "as in Ollama: maximum of prompt plus answer; the model's own context is a maximum too"
_CHOICES = "number of answers; the first uses `seed`, the others use seeds that are derived from it"


_STREAM_OPTIONS = (
    "only with `stream`: `include_usage`, and with it `continuous_usage_stats`, as in vLLM (the usage so far in every"
    " event)"
)


class _AnswerBody(SamplingBody, StructureBody):
    """What chat and completions have in common: vLLM's parameters for what an answer shows."""

    prompt_logprobs: int | None = Field(
        None,
        ge=0,
        le=MAX_LOGPROBS,
        description="as in vLLM; log-probabilities of the prompt's tokens, and the number of alternatives for each; not"
        " with `stream`",
    )
    return_token_ids: bool | None = Field(
        None, description="as in vLLM; true: the answer contains `prompt_token_ids` and `token_ids`"
    )
    return_tokens_as_token_ids: bool | None = Field(
        None, description="as in vLLM; true: log-probabilities name a token `token_id:N`"
    )


class CompletionBody(_AnswerBody):
    """Body of `/v1/completions`."""

    model: str = Field(description="required; a name from `/v1/models`")
    prompt: str | Many[str] | Many[TokenId] | Many[Many[TokenId]] = Field(
        description="required; a text, token ids, or a list of texts or lists of token ids: each prompt counts as a"
        f" request, and a request has at most {MAX_ANSWERS} answers"
    )
    echo: bool | None = Field(
        None, description="true: the text begins with the prompt; with `logprobs`, so do the log-probabilities"
    )
    truncate_prompt_tokens: int | None = Field(
        None,
        ge=-1,
        le=MAX_COUNT,
        description="as in vLLM; use only the last tokens of the prompt, at most this number; -1: as many as fit",
    )
    logprobs: int | None = Field(
        None, ge=0, le=MAX_LOGPROBS, description="number of likeliest tokens to list with each token"
    )
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: StreamOptions | None = Field(None, description=_STREAM_OPTIONS)
    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description=_CHOICES)
    best_of: int | None = Field(
        None, ge=1, le=MAX_CHOICES, description="only the value of `n`: the box does not rank answers"
    )
    suffix: str | None = Field(None, description="text after the completion, for models with fill-in-the-middle tokens")
    num_ctx: int | None = Field(None, ge=1, le=MAX_COUNT, description=_CONTEXT)


class ChatBody(_AnswerBody):
    """Body of `/v1/chat/completions`."""

    model: str = Field(description="required; a name from `/v1/models`")
    messages: Many[Message] = Field(
        min_length=1,
        description="required; roles system, developer, user, assistant, tool; text, and in user messages the part"
        " `file` (a text file as `file_data` in base64 or a data URL, `filename`); the template gets `name`"
        " and the assistant's `tool_calls` and `reasoning_content`",
    )
    max_completion_tokens: int | None = Field(None, ge=-1, le=MAX_COUNT, description="the newer name of `max_tokens`")
    logprobs: bool | None = Field(None, description="log-probabilities of the chosen tokens")
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS, description="needs `logprobs`")
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: StreamOptions | None = Field(None, description=_STREAM_OPTIONS)
    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description=_CHOICES)
    tools: list[Annotated[ToolParam, only_tools_of_type("function")]] | None = Field(
        None,
        max_length=MAX_TOOLS,
        description="functions, for models whose manifest defines tool calls; `strict` enforces the schema of the"
        " arguments; tools that the server would run, such as `web_search`, are rejected",
    )
    tool_choice: ToolChoiceParam | None = Field(
        None,
        description="`auto`, `none`, `required`, one function or `allowed_tools`; `required` and one function enforce"
        " the schemas",
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call")
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
