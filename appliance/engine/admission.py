"""Checks at submission whether the model's shape allows a request. This module queues nothing."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.engine.request import Request
from appliance.errors import PromptTooLongError, RequestError


def check_request(request: Request, *, tokens: int, max_context_tokens: int) -> int:
    """Return the maximum number of completion tokens of the request.

    Args:
        request: the request to check.
        tokens: token ids of the model are below this number.
        max_context_tokens: maximum tokens of prompt plus completion.

    Raises:
        RequestError: the prompt is empty, or the model does not have the adapter or a token id.
        PromptTooLongError: the prompt, or the prompt with max_tokens, does not fit.
    """
    prompt = len(request.prompt_ids)
    if prompt == 0:
        raise RequestError("the prompt is empty", hint="send at least one token", param="prompt")
    if request.adapter is not None:
        raise RequestError(
            f"the model has no adapter {request.adapter!r}",
            hint="remove it: this version does not support adapters",
            param="adapter",
        )
    room = max_context_tokens - prompt
    if room < 1:
        raise PromptTooLongError(
            # As the gateway's.
            f"prompt is too long: {prompt} tokens > {max_context_tokens} maximum; this model's maximum context length"
            f" is {max_context_tokens} tokens for prompt plus completion",
            hint="shorten the prompt",
            param="prompt",
        )
    wanted = request.sampling.max_tokens
    if wanted is not None and wanted > room:
        raise PromptTooLongError(
            f"max_tokens is {wanted}, but a prompt of {prompt} tokens leaves only {room} in the context",
            hint="shorten the prompt or lower max_tokens",
            param="max_tokens",
        )
    _check_ids("prompt", request.prompt_ids, tokens)
    _check_ids("stop_token_ids", request.sampling.stop_token_ids, tokens)
    _check_ids("logit_bias", request.sampling.logit_bias, tokens)
    return room if wanted is None else wanted


def _check_ids(name: str, ids: Iterable[int], tokens: int) -> None:
    wrong = next((token for token in ids if not 0 <= token < tokens), None)
    if wrong is not None:
        raise RequestError(f"{name} contains {wrong}, which is not a token id of this model", param=name)
