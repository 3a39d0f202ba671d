"""A completion as values: what is asked of Triton, and the pieces that come back. It does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.inference.events import TokenLogprob, Usage


@dataclass(frozen=True)
class CompletionRequest:
    """One request to a model.

    Attributes:
        request_id: unique among those under way; also Triton's request id.
        model: the model's name in Triton.
        prompt_ids: the prompt's tokens.
        sampling: the engine's sampling settings by their names; absent ones have the engine's defaults.
        stream: False asks for the completion in one piece.
        timeout_s: seconds from now after which the engine gives up.
        client_names: what the client's API calls parameters, by the engine's names, for errors about them; "prompt" is
            the prompt's. Names that are the same are left out.
        choices: how many answers are wanted.
    """

    request_id: str
    model: str
    prompt_ids: Sequence[int]
    sampling: Mapping[str, Any]
    stream: bool
    timeout_s: float
    client_names: Mapping[str, str] = field(default_factory=dict)
    choices: int = 1


@dataclass(frozen=True)
class Delta:
    """What one response of the model adds to the completion.

    Attributes:
        text: new text; may be empty while characters are held back.
        token_ids: new tokens.
        logprobs: one entry a token if they were asked for.
        finish_reason: "stop" or "length" with the last piece, else empty.
        usage: with the last piece.
        stop_reason: with the last piece, the stop string or stop token of the request that ended the completion.
        choice: which of several answers it belongs to, from 0.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: str = ""
    usage: Usage | None = None
    stop_reason: str | int | None = None
    choice: int = 0


def combined(usages: Sequence[Usage]) -> Usage:
    """Return what several choices cost together: all tokens, the slowest choice's seconds; the prompt counts once."""
    if not usages:
        return Usage()
    return Usage(
        prompt_tokens=max(usage.prompt_tokens for usage in usages),
        cached_tokens=min(usage.cached_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        queue_s=max(usage.queue_s for usage in usages),
        prefill_s=max(usage.prefill_s for usage in usages),
        decode_s=max(usage.decode_s for usage in usages),
    )
