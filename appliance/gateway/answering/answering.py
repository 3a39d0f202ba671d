"""The path from every API to a model: admits a request, counts it against its principal, sends it and ends it.

HTTP, gRPC and KServe all use it, so rules for every answer belong here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from appliance.errors import ApplianceError
from appliance.gateway.access.request_quota import current
from appliance.gateway.access_log import Record
from appliance.gateway.answering.answer import Answer
from appliance.gateway.answering.counted import CountedSource
from appliance.gateway.answering.health import Health
from appliance.gateway.answering.in_flight import InFlight
from appliance.gateway.answering.retrying import Check, RetryingStream, another, can_retry
from appliance.gateway.answering.tally import Tally
from appliance.gateway.answering.wait_estimator import WaitEstimator
from appliance.gateway.refusals import ForbiddenMethodError, LimitError
from appliance.gateway.routing.model_routes import ModelRoutes
from appliance.gateway.triton.choice_stream import DeltaStream
from appliance.gateway.triton.completion import CompletionRequest, Delta
from appliance.gateway.triton.embedding_call import EmbeddingRequest
from appliance.gateway.triton.forwarded import ForwardedRequest
from appliance.gateway.triton.inference import Inference


class Answering:
    """See the module."""

    def __init__(
        self,
        inference: Inference,
        in_flight: InFlight,
        waits: WaitEstimator,
        routes: ModelRoutes,
        schema_retries: int,
    ) -> None:
        """Create the path.

        Args:
            inference: sends requests to Triton.
            in_flight: the running requests.
            waits: learns how long requests take.
            routes: learns which models answer, and knows which models the site accepts.
            schema_retries: how often a complete answer that breaks its schema is asked for again.
        """
        self._inference = inference
        self._routes = routes
        self._in_flight = in_flight
        self._waits = waits
        self._schema_retries = schema_retries

    @contextlib.contextmanager
    def complete(
        self, record: Record, request: CompletionRequest, check: Check | None = None
    ) -> Iterator[Answer[Delta]]:
        """Answer a completion request inside the block, as the principal of the current request.

        Args:
            record: the request's log line.
            request: the completion request.
            check: checks the complete answer, if it has a schema that the grammar does not enforce completely.

        Raises:
            ShuttingDownError, OverloadedError: see `InFlight.check_open`.
            PromptTooLongError: the prompt exceeds a limit.
            WithdrawnError: the site's policy refuses the model.
            TooManyAnswersError: the request has more answers than a limit of requests allows.
            LimitError: there were too many tokens or requests in this minute, or there are too many answers at once.
        """
        record.fields |= {
            "model": request.model,
            "answer_id": request.request_id,
            "prompt_tokens": sum(map(len, request.prompts)),
            "stream": request.stream,
        }
        self._routes.check(request.model)
        self._in_flight.check_open(request.answers)
        quota = current()
        if request.answers > 1:
            quota.widen(request.answers)
        quota.reserve(list(map(len, request.prompts)), request.prompt_name)
        tally = Tally(record, request, quota, self._waits, Health(self._routes, request.model))
        try:
            answer = Answer(self._stream(request, check, record, quota.principal.name, tally))
            using = self._inference.using(request.model, request.keep_alive_s)
            with using, self._in_flight.holding(answer, request.model, request.answers):
                yield answer
        finally:
            tally.end()

    def _stream(
        self, request: CompletionRequest, check: Check | None, record: Record, principal: str, tally: Tally
    ) -> DeltaStream:
        """The answers of the model, which count as they arrive; with a check, the model may be asked again."""

        def send(each: CompletionRequest) -> DeltaStream:
            source = self._inference.complete(each, principal, record.waited)
            return CountedSource(source, tally.count, tally.refused)

        first = send(request)
        if check is None or not can_retry(request):
            return first
        until = asyncio.get_running_loop().time() + request.timeout_s
        return RetryingStream(first, map(send, self._retries(request, until, tally)), check)

    def _retries(self, request: CompletionRequest, until: float, tally: Tally) -> Iterator[CompletionRequest]:
        """Yield requests with other seeds, each counted, until one of the limits is reached.

        `until` is the loop's time at which the request's time is over.
        """
        for number in range(1, self._schema_retries + 1):
            left = until - asyncio.get_running_loop().time()
            if left <= 0 or self._in_flight.is_draining:
                return
            try:
                tally.again()
            except LimitError:
                return
            yield another(request, number, left)

    @contextlib.contextmanager
    def load(self, record: Record, model: str, timeout_s: float, keep_alive_s: float | None) -> Iterator[Answer[Any]]:
        """Load a model inside the block; the answer has no pieces, and ends when the model is loaded.

        Args:
            record: the request's log line.
            model: the model's name.
            timeout_s: seconds from now after which the request ends.
            keep_alive_s: see `LoadedModels.using`.

        Raises:
            ShuttingDownError, OverloadedError: see `InFlight.check_open`.
        """
        record.fields["model"] = model
        self._routes.check(model)
        self._in_flight.check_open()
        answer: Answer[Any] = Answer(self._inference.load(model, timeout_s, record.waited))
        with self._inference.using(model, keep_alive_s), self._in_flight.holding(answer, model):
            yield answer

    @contextlib.contextmanager
    def embed(self, record: Record, request: EmbeddingRequest, param: str) -> Iterator[Answer[bytes]]:
        """Answer a request for embeddings or logits of pairs inside the block; `param`: the client's name of the texts.

        It counts as one request, and its tokens count like those of a prompt; see `complete` for the errors.
        """
        lengths = list(map(len, request.texts))
        record.fields |= {"model": request.model, "answer_id": request.request_id, "prompt_tokens": sum(lengths)}
        self._routes.check(request.model)
        self._in_flight.check_open()
        quota = current()
        quota.reserve(lengths, param)
        health = Health(self._routes, request.model)

        def count(_vectors: bytes | None) -> None:
            health.answers()
            record.first_token()
            quota.spend(0)

        def refused(error: ApplianceError) -> None:
            health.fails(error)
            quota.give_back()

        answer = Answer(CountedSource(self._inference.embed(request, record.waited), count, refused))
        end = self._waits.begin(request.model)
        try:
            using = self._inference.using(request.model, request.keep_alive_s)
            with using, self._in_flight.holding(answer, request.model):
                yield answer
        finally:
            end(None)

    @contextlib.contextmanager
    def forward(self, record: Record, request: ForwardedRequest) -> Iterator[Answer[bytes]]:
        """Answer a request of Triton's own protocol inside the block; see `complete`.

        Raises:
            ShuttingDownError, OverloadedError: see `InFlight.check_open`.
            ForbiddenMethodError: the principal's tokens are limited, and forwarded calls cannot be counted in tokens.
        """
        if request.served is not None:
            self._routes.check(request.served)
        self._in_flight.check_open()
        quota = current()
        if quota.limits_tokens:
            raise ForbiddenMethodError("calls that are passed on cannot be counted in tokens, which are limited here")

        def count(_message: bytes | None) -> None:
            record.first_token()

        end = self._waits.begin(request.served) if request.served is not None else None
        try:
            answer = Answer(CountedSource(self._inference.forward(request, quota.principal.name, record.waited), count))
            with self._inference.using(request.served), self._in_flight.holding(answer, request.served):
                yield answer
        finally:
            if end is not None:
                end(None)
