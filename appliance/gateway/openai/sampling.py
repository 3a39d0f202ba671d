"""Converts checked parameters to the engine's sampling settings, with the publisher's defaults. It checks no ranges."""

from __future__ import annotations

from typing import Any

from appliance.artefact.manifest import Generation
from appliance.errors import RequestError
from appliance.gateway.bodies.sampling import UNLIMITED, sampling
from appliance.gateway.openai.schema import ChatBody, CompletionBody


def chat_sampling(body: ChatBody, defaults: Generation) -> dict[str, Any]:
    """Return the settings for a chat, which has its own names for two parameters.

    Raises:
        RequestError: two parameters contradict each other.
    """
    settings = sampling(body, defaults)
    if body.max_completion_tokens is not None:
        if body.max_tokens not in {None, body.max_completion_tokens}:
            raise RequestError("max_tokens and max_completion_tokens differ", param="max_tokens")
        if body.max_completion_tokens != UNLIMITED:
            settings["max_tokens"] = body.max_completion_tokens
    if body.logprobs:
        settings["logprobs"] = body.top_logprobs or 0
    elif body.top_logprobs is not None:
        raise RequestError("top_logprobs needs logprobs", param="top_logprobs")
    if body.prompt_logprobs is not None:
        settings["prompt_logprobs"] = body.prompt_logprobs
    _check_stream(body)
    return settings


def chat_names(body: ChatBody) -> dict[str, str]:
    """The client's names of settings, by the engine's names, where they differ."""
    names = {}
    if body.top_logprobs:
        names["logprobs"] = "top_logprobs"
    if body.max_completion_tokens is not None and body.max_tokens is None:
        names["max_tokens"] = "max_completion_tokens"
    return names


def completion_sampling(body: CompletionBody, defaults: Generation) -> dict[str, Any]:
    """Return the settings for a plain completion.

    Raises:
        RequestError: two parameters contradict each other.
    """
    settings = sampling(body, defaults)
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise RequestError(
            f"best_of {body.best_of} is not supported: the box does not rank answers",
            hint=f"set n to {body.best_of} and choose by the log-probabilities",
            param="best_of",
        )
    if body.logprobs is not None:
        settings["logprobs"] = body.logprobs
    # An answer that begins with its prompt has the log-probabilities of the prompt's tokens too.
    wanted = [one for one in (body.prompt_logprobs, body.logprobs if body.echo else None) if one is not None]
    if wanted:
        settings["prompt_logprobs"] = max(wanted)
    _check_stream(body)
    return settings


def _check_stream(body: ChatBody | CompletionBody) -> None:
    """Raise RequestError if a parameter and `stream` contradict each other."""
    options = body.stream_options
    if options is not None and not body.stream:
        raise RequestError("stream_options needs stream", param="stream_options")
    if options is not None and options.continuous_usage_stats and not options.include_usage:
        name = "stream_options.continuous_usage_stats"
        raise RequestError(f"{name} needs include_usage", param=name)
    if body.prompt_logprobs is not None and body.stream:
        # vLLM's rule: its events have no place for them.
        raise RequestError(
            "prompt_logprobs cannot be combined with stream",
            hint="with /v1/completions, use echo and logprobs instead",
            param="prompt_logprobs",
        )
