"""A completion as values: what is asked of Triton, and the pieces that come back. It does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
        prompt_param: what the client's API calls the prompt, for errors about it.
        structure_param: what it calls that which `structured_outputs` comes from.
        choices: how many answers are wanted.
    """

    request_id: str
    model: str
    prompt_ids: Sequence[int]
    sampling: Mapping[str, Any]
    stream: bool
    timeout_s: float
    prompt_param: str = "prompt"
    structure_param: str = "structured_outputs"
    choices: int = 1

    @property
    def client_names(self) -> Mapping[str, str]:
        """The engine's names of parameters that the client calls otherwise."""
        return {"prompt": self.prompt_param, "structured_outputs": self.structure_param}


@dataclass(frozen=True)
class Usage:
    """What a request cost.

    Attributes:
        prompt_tokens: tokens of the prompt, the cached ones among them.
        cached_tokens: prompt tokens that were not computed again.
        completion_tokens: generated tokens.
        queue_s: seconds in the engine's queue.
        prefill_s: seconds from there to the first token.
        decode_s: seconds from the first token to the end.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    queue_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True)
class TokenLogprob:
    """Log-probability of a chosen token.

    Attributes:
        token_id: the chosen token.
        logprob: its natural log-probability.
        likeliest: (token id, log-probability), likeliest first: as many as were asked for and, if it is not among
            them, the chosen one.
    """

    token_id: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...]


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
