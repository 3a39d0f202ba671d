"""The limits of the log-probabilities in one request. Memory holds those of a whole answer until the answer is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.errors import RequestError
from appliance.inference.sampling import MAX_PROMPT_FIGURES

# About 100 MB of memory, and 50 MB of JSON.
_MAX_FIGURES = 1 << 19


def check_of_prompts(prompts: Sequence[Sequence[int]], sampling: Mapping[str, Any], choices: int) -> None:
    """Check the log-probabilities of all prompts together; the engine checks those of each prompt.

    Args:
        prompts: the tokens of each prompt.
        sampling: the engine's settings.
        choices: number of answers to each prompt.

    Raises:
        RequestError: there are too many.
    """
    wanted = sampling.get("prompt_logprobs")
    if wanted is None:
        return
    tokens = sum(map(len, prompts)) * choices
    if tokens * (wanted + 1) > MAX_PROMPT_FIGURES:
        raise RequestError(
            f"prompt_logprobs {wanted} for {tokens} tokens of prompts, counted once for each answer, is more than"
            f" {MAX_PROMPT_FIGURES} log-probabilities in one request",
            hint="lower prompt_logprobs, or send several requests",
            param="prompt_logprobs",
        )


def check_of_answers(
    prompts: Sequence[Sequence[int]],
    sampling: Mapping[str, Any],
    choices: int,
    context: int,
    names: Mapping[str, str],
) -> None:
    """Check the log-probabilities of all answers together, for answers that are not streamed.

    Args:
        prompts: the tokens of each prompt.
        sampling: the engine's settings; without `max_tokens`, each answer may have the remaining context.
        choices: number of answers to each prompt.
        context: tokens of the model's context.
        names: the client's names of settings, if they differ.

    Raises:
        RequestError: there could be too many.
    """
    wanted = sampling.get("logprobs")
    if wanted is None:
        return
    most = sampling.get("max_tokens", context)
    tokens = choices * sum(min(most, context - len(prompt)) for prompt in prompts)
    if tokens * (wanted + 1) > _MAX_FIGURES:
        param, length = names.get("logprobs", "logprobs"), names.get("max_tokens", "max_tokens")
        fitting = _MAX_FIGURES // ((wanted + 1) * choices * len(prompts))
        raise RequestError(
            f"{wanted + 1} log-probabilities for each of up to {tokens} tokens of answers are more than"
            f" {_MAX_FIGURES} in an answer that is not streamed",
            hint=f"set {length} to at most {fitting}, or stream the answer",
            param=param,
        )
