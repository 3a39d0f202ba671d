"""A completion as values: the request to Triton, and the deltas of the answer. It does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from appliance.inference.events import TokenLogprob, Usage


@dataclass(frozen=True)
class CompletionRequest:
    """One request to a model, for one or several answers.

    Attributes:
        request_id: unique among running requests; also Triton's request id.
        model: the model's name in Triton.
        prompts: the tokens of each prompt.
        sampling: the engine's sampling settings by their names; absent settings have the engine's defaults.
        stream: False requests the completion in one piece.
        timeout_s: seconds from now after which the engine stops.
        client_names: engine's parameter name → name in the client's API, for error messages; "prompt" is the prompt's.
            Names that are equal are omitted.
        choices: number of answers to each prompt.
        keep_alive_s: see `LoadedModels.using`.
    """

    request_id: str
    model: str
    prompts: Sequence[Sequence[int]]
    sampling: Mapping[str, Any]
    stream: bool
    timeout_s: float
    client_names: Mapping[str, str] = field(default_factory=dict)
    choices: int = 1
    keep_alive_s: float | None = None

    @property
    def prompt_name(self) -> str:
        """The client's name for the prompt."""
        return self.client_names.get("prompt", "prompt")

    @property
    def answers(self) -> int:
        """Number of answers to all prompts."""
        return len(self.prompts) * self.choices


@dataclass(frozen=True)
class Delta:
    """What one response of the model adds to the completion.

    Attributes:
        text: new text; may be empty while characters are held back.
        token_ids: new tokens.
        logprobs: one entry per token if the client requested them.
        prompt_logprobs: one entry for each next token of the prompt after its first, if the client requested them; they
            come before the first token.
        finish_reason: "stop" or "length" with the last piece, else empty.
        usage: with the last piece.
        stop_reason: with the last piece, the request's stop string or stop token that ended the completion.
        choice: the answer to which it belongs, from 0: first all answers to the first prompt.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: str = ""
    usage: Usage | None = None
    stop_reason: str | int | None = None
    choice: int = 0
    prompt_logprobs: tuple[TokenLogprob, ...] = ()


def added(earlier: Usage, usage: Usage) -> Usage:
    """Return all tokens and seconds of two answers, one after the other; a prompt that both answer counts twice."""
    return Usage(*(getattr(earlier, each.name) + getattr(usage, each.name) for each in fields(Usage)))


def combined(usages: Mapping[int, Usage], choices: int) -> Usage:
    """Return the usage of several answers: all tokens, the slowest answer's seconds; each prompt counts once.

    Args:
        usages: usage of each answer, by `Delta.choice`.
        choices: number of answers to each prompt.
    """
    if not usages:
        return Usage()
    prompts: dict[int, list[Usage]] = {}
    for choice, usage in usages.items():
        prompts.setdefault(choice // choices, []).append(usage)
    every = list(usages.values())
    return Usage(
        prompt_tokens=sum(max(usage.prompt_tokens for usage in own) for own in prompts.values()),
        cached_tokens=sum(min(usage.cached_tokens for usage in own) for own in prompts.values()),
        completion_tokens=sum(usage.completion_tokens for usage in every),
        queue_s=max(usage.queue_s for usage in every),
        prefill_s=max(usage.prefill_s for usage in every),
        decode_s=max(usage.decode_s for usage in every),
        accepted_draft_tokens=sum(usage.accepted_draft_tokens for usage in every),
        rejected_draft_tokens=sum(usage.rejected_draft_tokens for usage in every),
    )
