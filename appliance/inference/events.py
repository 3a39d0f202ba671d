"""What the engine tells a request's sink: tokens as they come, then exactly one finish. Values only."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from appliance.errors import ApplianceError


class FinishReason(enum.Enum):
    """Why a completion ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    ERROR = "error"


@dataclass(frozen=True)
class TokenLogprob:
    """Log-probability of a chosen token under the model's raw logits (before bias, penalties and temperature).

    Attributes:
        token_id: the chosen token.
        logprob: its natural log-probability.
        top: (token id, log-probability) of the likeliest tokens, likeliest first; as many as were asked for. Of another
            engine's answer the chosen token is among them, too.
    """

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Usage:
    """What a request cost.

    Attributes:
        prompt_tokens: tokens of the prompt, the cached ones among them.
        cached_tokens: of these, how many were found in the prefix cache at the first admission.
        completion_tokens: generated tokens, an end token included.
        queue_s: seconds from submission to admission.
        prefill_s: seconds from admission to the first token.
        decode_s: seconds from the first token to the end.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    queue_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True)
class TokenEvent:
    """New tokens of a completion.

    Attributes:
        token_ids: the tokens, in order; an end token is among them although it has no text.
        text: the text that became certain with them: whole characters, never a part of a stop string. May be empty.
        logprobs: one entry a token when the request asked for them.
    """

    token_ids: tuple[int, ...]
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True)
class FinishEvent:
    """The end of a request: always sent, once, last.

    Attributes:
        reason: see FinishReason.
        usage: see Usage.
        error: what went wrong; set for ERROR (an EngineError, or a RequestError where the grammar cannot go on) and
            DEADLINE (a DeadlineError) alone.
        stop_reason: with STOP, the stop string or stop token of the request that ended the completion; None where it
            was the model's own end or the grammar's.
    """

    reason: FinishReason
    usage: Usage
    error: ApplianceError | None = None
    stop_reason: str | int | None = None


Event = TokenEvent | FinishEvent
