"""Converts between our gRPC messages and the gateway's values. Unknown fields cause an error."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from appliance.artefact.manifest import Generation
from appliance.errors import RequestError
from appliance.gateway.bodies import json_body as body
from appliance.gateway.bodies.messages import Message
from appliance.gateway.bodies.sampling import SamplingBody, sampling
from appliance.gateway.bodies.strict import Strict
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.rpc.known_fields import check_known
from appliance.gateway.triton.completion import Delta
from appliance.inference.events import TokenLogprob

_REASONS = {"stop": pb.FINISH_REASON_STOP, "length": pb.FINISH_REASON_LENGTH}
# With more turns than this, the same request over HTTP would exceed the limit of JSON strings.
MAX_MESSAGES = 5000
# The limits of SamplingBody, checked before the values are copied.
_MOST = {"logit_bias": 1024, "stop": 16, "stop_token_ids": 128, "allowed_token_ids": 4096, "bad_words": 128}
_LISTS = ("stop", "stop_token_ids", "allowed_token_ids", "bad_words")


class _Sampling(SamplingBody):
    logprobs: int | None = Field(None, ge=0, le=20)
    prompt_logprobs: int | None = Field(None, ge=0, le=20)


class _Conversation(Strict):
    messages: list[Message] = Field(min_length=1)


def conversation(request: pb.ChatRequest | pb.Conversation) -> list[dict[str, str]]:
    """Return the messages as chat templates expect them.

    Raises:
        RequestError: there is no message, a role is unknown, or the request has a field that is not in our schema.
    """
    check_known(request)
    if len(request.messages) > MAX_MESSAGES:
        raise RequestError(f"messages: the limit is {MAX_MESSAGES}", param="messages")
    turns = []
    for message in request.messages:
        check_known(message)
        turns.append({"role": message.role, "content": message.content})
    return [turn.for_template() for turn in body.check(_Conversation, {"messages": turns}).messages]


def settings(message: pb.Sampling, defaults: Generation) -> dict[str, Any]:
    """Return the engine's sampling settings, checked by the rules of the HTTP API.

    Raises:
        RequestError: a value is out of range, or a field is not in our schema.
    """
    check_known(message)
    for name, most in _MOST.items():
        if len(getattr(message, name)) > most:
            raise RequestError(f"{name} has at most {most} entries", param=name)
    given = {field.name: value for field, value in message.ListFields() if field.name != "logit_bias"}
    given |= {name: list(given[name]) for name in _LISTS if name in given}
    if message.logit_bias:
        given["logit_bias"] = {str(token): bias for token, bias in message.logit_bias.items()}
    checked = body.check(_Sampling, given)
    found = sampling(checked, defaults)
    return found | checked.model_dump(include={"logprobs", "prompt_logprobs"}, exclude_none=True)


def check_complete(request: pb.CompleteRequest) -> pb.CompleteRequest:
    """Return the request.

    Raises:
        RequestError: it has no prompt, or a field that is not in our schema.
    """
    check_known(request)
    if request.WhichOneof("prompt") is None:
        raise RequestError("prompt is empty", param="prompt")
    return request


def check_tokenize(request: pb.TokenizeRequest) -> None:
    """Check that there is something to tokenise.

    Raises:
        RequestError: there is no input, or the request has a field that is not in our schema.
    """
    check_known(request)
    if request.WhichOneof("input") is None:
        raise RequestError("the request has neither a text nor a conversation", param="input")


def card(model: ServedModel, *, ready: bool) -> pb.Model:
    """Return the entry of a model in ListModels."""
    return pb.Model(
        name=model.name,
        context_tokens=model.manifest.shape.context_tokens,
        chat=model.template is not None,
        ready=ready,
        fingerprint=model.fingerprint,
    )


def chunk(delta: Delta, alternatives: int | None, of_prompt: int | None = None) -> pb.CompletionChunk:
    """Return one piece of a completion as a message, with so many alternatives for each token."""
    message = pb.CompletionChunk(text=delta.text, token_ids=delta.token_ids)
    if alternatives is not None:
        message.logprobs.extend(_logprob(token, alternatives) for token in delta.logprobs)
    if of_prompt is not None:
        message.prompt_logprobs.extend(_logprob(token, of_prompt) for token in delta.prompt_logprobs)
    if delta.finish_reason:
        message.finish_reason = _REASONS.get(delta.finish_reason, pb.FINISH_REASON_UNSPECIFIED)
    if delta.usage is not None:
        message.usage.prompt_tokens = delta.usage.prompt_tokens
        message.usage.cached_tokens = delta.usage.cached_tokens
        message.usage.completion_tokens = delta.usage.completion_tokens
    return message


def _logprob(token: TokenLogprob, alternatives: int) -> pb.TokenLogprob:
    likeliest = [pb.TokenLogprob(token_id=other, logprob=value) for other, value in token.top[:alternatives]]
    return pb.TokenLogprob(token_id=token.token_id, logprob=token.logprob, likeliest=likeliest)
