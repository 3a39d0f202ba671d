"""Sends inference requests to Triton. Each request is a separate KServe stream, so it can be cancelled separately.

It uses the generated messages directly, because tritonclient's own layer copies every tensor through numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NoReturn

from appliance.errors import UnavailableError
from appliance.gateway.loading.loaded_models import LoadedModels
from appliance.gateway.loading.offer import LoadState
from appliance.gateway.triton import tensors
from appliance.gateway.triton.channel import TritonChannel
from appliance.gateway.triton.choice_stream import ChoiceStream, DeltaStream, single_requests
from appliance.gateway.triton.completion import CompletionRequest
from appliance.gateway.triton.delta_stream import TritonStream
from appliance.gateway.triton.embedding_call import EmbeddingCall, EmbeddingRequest
from appliance.gateway.triton.forwarded import ForwardedRequest
from appliance.gateway.triton.forwarded_call import ForwardedCall
from appliance.gateway.triton.loaded_source import LoadedSource, NoPieces, Source
from appliance.gateway.triton.methods import INFER, STREAM

# The engine ends a request at its deadline; the gateway waits this much longer.
_DEADLINE_GRACE_S = 5.0
# Gets the seconds that a request waited until its model was loaded.
Waited = Callable[[float], None]


class Inference:
    """Sends over one channel, for a principal that the caller has authenticated."""

    def __init__(self, channel: TritonChannel, loaded: LoadedModels) -> None:
        self._channel = channel
        self._loaded = loaded

    def using(self, model: str | None, keep_alive_s: float | None = None) -> AbstractContextManager[None]:
        """Count a request inside the block, so that its model is not unloaded; see `LoadedModels.using`.

        The model None is one of the site's own.
        """
        return nullcontext() if model is None else self._loaded.using(model, keep_alive_s)

    def load(self, model: str, timeout_s: float, waited: Waited) -> Source[NoReturn]:
        """Load a model and return a source without pieces, whose first read ends when the model is loaded.

        It raises UnavailableError if the model cannot be loaded, or if the box loads it by itself and has not finished.
        """

        def check(_left_s: float) -> NoPieces:
            if self._loaded.state(model) is not LoadState.LOADED:
                raise UnavailableError(f"{model} is not loaded yet", hint="try again in a moment")
            return NoPieces()

        return LoadedSource(self._loaded, model, timeout_s, waited, check)

    def complete(self, request: CompletionRequest, principal: str, waited: Waited) -> DeltaStream:
        """Send the request and return its stream; the caller must cancel a stream that is no longer read.

        Several answers are separate requests, read as one stream. All errors are raised by reads.
        """
        streams = [self._when_loaded(single, principal, waited) for single in single_requests(request)]
        return streams[0] if len(streams) == 1 else ChoiceStream(streams)

    def forward(self, request: ForwardedRequest, principal: str, waited: Waited) -> Source[bytes]:
        """Send the request and return its answer; models that we do not serve have no input for the principal."""
        if request.served is None:
            return self._forward(request, principal)
        return LoadedSource(
            self._loaded,
            request.served,
            request.timeout_s,
            waited,
            lambda left: self._forward(replace(request, timeout_s=left), principal),
        )

    def embed(self, request: EmbeddingRequest, waited: Waited) -> Source[bytes]:
        """Send texts to an embedding model, or pairs to a reranker. All errors are raised by reads of its answer."""

        def send(left_s: float) -> EmbeddingCall:
            contents = replace(request, timeout_s=left_s).contents()
            return EmbeddingCall(self._channel.stream(STREAM, contents, left_s + _DEADLINE_GRACE_S))

        return LoadedSource(self._loaded, request.model, request.timeout_s, waited, send)

    def _forward(self, request: ForwardedRequest, principal: str) -> ForwardedCall:
        message = request.message
        if request.served is not None:
            message = tensors.in_name_of(principal, message)
        content = message.SerializeToString()
        if request.is_unary:
            return ForwardedCall(self._channel.unary(INFER, content, request.timeout_s), is_unary=True)
        opening = [tensors.opening_message(request.served).SerializeToString()] if request.served else []
        call = self._channel.stream(STREAM, [*opening, content], request.timeout_s)
        return ForwardedCall(call, is_unary=False)

    def _when_loaded(self, request: CompletionRequest, principal: str, waited: Waited) -> DeltaStream:
        return LoadedSource(
            self._loaded,
            request.model,
            request.timeout_s,
            waited,
            lambda left: self._complete_one(replace(request, timeout_s=left), principal),
        )

    def _complete_one(self, request: CompletionRequest, principal: str) -> TritonStream:
        messages = (tensors.opening_message(request.model), tensors.request_message(request, principal))
        contents = [message.SerializeToString() for message in messages]
        call = self._channel.stream(STREAM, contents, request.timeout_s + _DEADLINE_GRACE_S)
        return TritonStream(call, request.client_names, request.prompts[0])
