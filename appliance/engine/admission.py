"""Checks at submission whether the model's shape allows a request. This module queues nothing."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.engine.request import Request
from appliance.errors import PromptTooLongError, RequestError
from appliance.inference.sampling import MAX_PROMPT_FIGURES


def check_request(request: Request, *, tokens: int, max_context_tokens: int, can_score: bool = True) -> int:
    """Return the maximum number of completion tokens of the request.

    Args:
        request: the request to check.
        tokens: token ids of the model are below this number.
        max_context_tokens: maximum tokens of prompt plus completion.
        can_score: whether the runner can compute log-probabilities of a prompt.

    Raises:
        RequestError: the prompt is empty, the model does not have the adapter or a token id, or the log-probabilities
            of the prompt are too many or not supported.
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
    _check_scores(request, can_score=can_score)
    _check_ids("prompt", request.prompt_ids, tokens)
    _check_ids("stop_token_ids", request.sampling.stop_token_ids, tokens)
    _check_ids("logit_bias", request.sampling.logit_bias, tokens)
    _check_ids("allowed_token_ids", request.sampling.allowed_token_ids or (), tokens)
    _check_ids("logprob_token_ids", request.sampling.logprob_token_ids, tokens)
    return room if wanted is None else wanted


def _check_scores(request: Request, *, can_score: bool) -> None:
    wanted, prompt = request.sampling.prompt_logprobs, len(request.prompt_ids)
    if wanted is None:
        return
    if not can_score:
        raise RequestError(
            "prompt_logprobs is not supported: a TensorRT plan computes the logits of a prompt's last token only",
            hint="remove it, or serve an export for ONNX Runtime",
            param="prompt_logprobs",
        )
    if prompt * (wanted + 1) > MAX_PROMPT_FIGURES:
        raise RequestError(
            f"prompt_logprobs {wanted} for a prompt of {prompt} tokens is more than {MAX_PROMPT_FIGURES}"
            " log-probabilities in one answer",
            hint=f"lower prompt_logprobs, or shorten the prompt to {MAX_PROMPT_FIGURES // (wanted + 1)} tokens",
            param="prompt_logprobs",
        )


def _check_ids(name: str, ids: Iterable[int], tokens: int) -> None:
    wrong = next((token for token in ids if not 0 <= token < tokens), None)
    if wrong is not None:
        raise RequestError(f"{name} contains {wrong}, which is not a token id of this model", param=name)
