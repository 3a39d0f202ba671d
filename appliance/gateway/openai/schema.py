"""The request bodies of OpenAI's API as far as they are honoured. What is not a field here is refused by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_INT64 = 1 << 63


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


StopString = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
TokenKey = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]
TokenId = Annotated[int, Field(ge=0, lt=1 << 31)]


class Strict(BaseModel):
    """No conversions between types, no NaN, no unknown field."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True, protected_namespaces=())


class StreamOptions(Strict):
    """`stream_options`."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class SamplingBody(Strict):
    """What both endpoints and the gRPC service understand about choosing tokens; the descriptions go to docs/api.md."""

    temperature: float | None = Field(None, ge=0, description="0 is greedy; default: the publisher's")
    top_p: float | None = Field(None, gt=0, le=1, description="default: the publisher's")
    top_k: int | None = Field(None, ge=-1, description="vLLM's; -1 or 0 is off; default: the publisher's")
    min_p: float | None = Field(None, ge=0, le=1, description="vLLM's")
    repetition_penalty: float | None = Field(None, gt=0, description="vLLM's; default: the publisher's")
    presence_penalty: float | None = Field(None, ge=-2, le=2, description="")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, description="")
    logit_bias: dict[TokenKey, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, max_length=1024, description="token id → bias"
    )
    seed: Annotated[int, Field(ge=-_INT64, lt=_INT64)] | None = Field(
        None, description="64 bits; same seed, same answer, alone or in a batch"
    )
    stop: Annotated[list[StopString], BeforeValidator(_as_list)] | None = Field(
        None, max_length=16, description="a string or up to 16; not part of the answer"
    )
    stop_token_ids: list[TokenId] | None = Field(None, max_length=128, description="vLLM's")
    ignore_eos: bool | None = Field(None, description="vLLM's; go on past the model's end token")
    min_tokens: int | None = Field(None, ge=0, description="vLLM's; no end token before so many")
    max_tokens: int | None = Field(None, ge=1, description="default: what the context leaves")


class CompletionBody(SamplingBody):
    """Body of `/v1/completions`."""

    model: str = Field(description="required; a name from `/v1/models`")
    prompt: str | list[str] | list[TokenId] | list[list[TokenId]] = Field(
        description="required; text or token ids; a list may hold one prompt"
    )
    logprobs: int | None = Field(None, ge=0, le=20, description="how many alternatives beside the chosen token")
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: StreamOptions | None = Field(None, description="`include_usage`; only with `stream`")


class TextPart(Strict):
    """A text part of a message."""

    type: Literal["text"]
    text: str


class Message(Strict):
    """One turn of a conversation. Fields that may only be null come from clients that send our own answers back."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None
    refusal: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[Any], Field(max_length=0)] | None = None

    def for_template(self) -> dict[str, str]:
        """The message as chat templates expect it: `developer` is OpenAI's newer word for `system`."""
        text = self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)
        message = {"role": "system" if self.role == "developer" else self.role, "content": text}
        return {**message, "name": self.name} if self.name is not None else message


class ChatBody(SamplingBody):
    """Body of `/v1/chat/completions`."""

    model: str = Field(description="required; a name from `/v1/models`")
    messages: list[Message] = Field(
        min_length=1,
        description="required; roles system, developer, user, assistant; text content; `name` goes to the template",
    )
    max_completion_tokens: int | None = Field(None, ge=1, description="the newer name of `max_tokens`")
    logprobs: bool | None = Field(None, description="of the chosen tokens")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="needs `logprobs`")
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: StreamOptions | None = Field(None, description="`include_usage`; only with `stream`")
