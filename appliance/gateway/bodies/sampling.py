"""The sampling parameters of all APIs, checked in one place, and their conversion to the engine's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from appliance.artefact.manifest import Generation
from appliance.errors import PromptTooLongError
from appliance.gateway.bodies.strict import Strict

# The engine's own bounds for factors and for numbers of tokens.
_MAX_FACTOR = 1e6
_INT64 = 1 << 63
MAX_COUNT = (1 << 31) - 1
# The `max_tokens` of llama.cpp that sets no limit.
UNLIMITED = -1
_SEED_MASK = (1 << 63) - 1


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


StopString = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Stops = Annotated[list[StopString], Field(max_length=16)]
TokenKey = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]
TokenId = Annotated[int, Field(ge=0, lt=1 << 31)]
Int64 = Annotated[int, Field(ge=-_INT64, lt=_INT64)]


class SamplingBody(Strict):
    """The sampling parameters that OpenAI's endpoints and the gRPC service share; docs/api.md has the descriptions."""

    temperature: float | None = Field(
        None, ge=0, le=_MAX_FACTOR, description="0 is greedy; default: the publisher's value"
    )
    top_p: float | None = Field(None, gt=0, le=1, description="default: the publisher's value")
    top_k: int | None = Field(
        None, ge=-1, le=MAX_COUNT, description="as in vLLM; -1 or 0: off; default: the publisher's value"
    )
    min_p: float | None = Field(None, ge=0, le=1, description="as in vLLM")
    repetition_penalty: float | None = Field(
        None, ge=1 / _MAX_FACTOR, le=_MAX_FACTOR, description="as in vLLM; default: the publisher's value"
    )
    presence_penalty: float | None = Field(None, ge=-2, le=2, description="")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, description="")
    logit_bias: dict[TokenKey, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, max_length=1024, description="token id → bias"
    )
    allowed_token_ids: list[TokenId] | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="as in vLLM; only these tokens can be chosen",
    )
    bad_words: list[Annotated[str, StringConstraints(min_length=1, max_length=256)]] | None = Field(
        None,
        max_length=128,
        description="as in vLLM; the tokens of these texts are not chosen in a row; other tokens can spell the text",
    )
    seed: Int64 | None = Field(None, description="64 bits; the same seed gives the same answer, alone or in a batch")
    stop: Annotated[StopString | Stops, AfterValidator(_as_list)] | None = Field(
        None, description="one string, or a list of up to 16; the answer does not contain it"
    )
    stop_token_ids: list[TokenId] | None = Field(None, max_length=128, description="as in vLLM")
    ignore_eos: bool | None = Field(None, description="as in vLLM; true: continue after the model's end token")
    min_tokens: int | None = Field(
        None, ge=0, le=MAX_COUNT, description="as in vLLM; minimum tokens before an end token"
    )
    max_tokens: int | None = Field(
        None,
        ge=-1,
        le=MAX_COUNT,
        description="maximum tokens of the answer; default, and -1 as in llama.cpp: the remaining context; 0: compute"
        " only the prompt",
    )


def sampling(body: SamplingBody, defaults: Generation) -> dict[str, Any]:
    """Return the settings by the engine's names; omitted values get the publisher's or the engine's default."""
    given = body.model_dump(include=set(SamplingBody.model_fields), exclude_none=True)
    if "seed" in given:
        # OpenAI allows negative seeds, the engine does not.
        given["seed"] &= _SEED_MASK
    if given.get("top_k") == -1:
        given["top_k"] = 0
    if given.get("max_tokens") == UNLIMITED:
        del given["max_tokens"]
    return {
        "temperature": defaults.temperature,
        "top_p": defaults.top_p,
        "top_k": defaults.top_k,
        "repetition_penalty": defaults.repetition_penalty,
        **given,
    }


def within_context(settings: Mapping[str, Any], prompt_tokens: int, num_ctx: int | None) -> dict[str, Any]:
    """Return the settings with a `max_tokens` for which prompt plus answer have at most `num_ctx` tokens.

    Raises:
        PromptTooLongError: the prompt alone has as many tokens.
    """
    if num_ctx is None:
        return dict(settings)
    left = num_ctx - prompt_tokens
    if left < 1:
        raise PromptTooLongError(
            f"the prompt has {prompt_tokens} tokens, but num_ctx is {num_ctx}", hint="increase num_ctx", param="num_ctx"
        )
    return {**settings, "max_tokens": min(left, settings.get("max_tokens", left))}
