"""The events that the engine sends to a request's sink. Values only.

First prompt events, if the request asks for log-probabilities of its prompt; then token events; then exactly one finish
event.
"""

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
    """Log-probability of a token under the model's raw logits (before bias, penalties and temperature).

    Attributes:
        token_id: the chosen token, or a token of the prompt.
        logprob: natural log-probability of this token.
        top: (token id, log-probability) of the likeliest tokens, likeliest first, as many as were requested. In answers
            of other engines, the list also contains the chosen token.
        rank: 1 for the likeliest token, 2 for the next; None if it is unknown. For tokens of a prompt it is always
            known.
    """

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    rank: int | None = None


@dataclass(frozen=True)
class Usage:
    """The tokens and times of a request.

    Attributes:
        prompt_tokens: tokens of the prompt, including cached tokens.
        cached_tokens: prompt tokens that were found in the prefix cache at the first admission.
        completion_tokens: generated tokens, including an end token.
        queue_s: seconds from submission to admission.
        prefill_s: seconds from admission to the first token.
        decode_s: seconds from the first token to the end.
        accepted_draft_tokens: completion tokens that were verified as part of a draft.
        rejected_draft_tokens: tokens of drafts that were verified and wrong. They are not part of the completion.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    queue_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    accepted_draft_tokens: int = 0
    rejected_draft_tokens: int = 0


@dataclass(frozen=True)
class PromptEvent:
    """Log-probabilities of the next tokens of the prompt, in order. The first token of a prompt has none.

    Attributes:
        logprobs: one entry for each token.
    """

    logprobs: tuple[TokenLogprob, ...]


@dataclass(frozen=True)
class TokenEvent:
    """New tokens of a completion.

    Attributes:
        token_ids: the tokens, in order, including an end token, which has no text.
        text: the text that became certain with these tokens: whole characters, never a part of a stop string. May be
            empty.
        logprobs: one entry for each token, if the request asked for log-probabilities.
    """

    token_ids: tuple[int, ...]
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True)
class FinishEvent:
    """The end of a request: always sent exactly once, as the last event.

    Attributes:
        reason: see FinishReason.
        usage: see Usage.
        error: the error; set only for ERROR (an EngineError, or a RequestError if the grammar cannot continue) and
            DEADLINE (a DeadlineError).
        stop_reason: with STOP, the request's stop string or stop token that ended the completion; None if the model's
            end token or the grammar ended it.
    """

    reason: FinishReason
    usage: Usage
    error: ApplianceError | None = None
    stop_reason: str | int | None = None


Event = PromptEvent | TokenEvent | FinishEvent
