"""The path from every API to a model: admits a request, counts it against its principal, sends it and ends it.

HTTP, gRPC and KServe all use it, so rules for every answer belong here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from appliance.gateway.access.request_quota import current
from appliance.gateway.access_log import Record
from appliance.gateway.answering.answer import Answer
from appliance.gateway.answering.counted import CountedSource
from appliance.gateway.answering.in_flight import InFlight
from appliance.gateway.answering.retrying import Check, RetryingStream, another, can_retry
from appliance.gateway.answering.tally import Tally
from appliance.gateway.answering.wait_estimator import WaitEstimator
from appliance.gateway.refusals import ForbiddenMethodError, LimitError
from appliance.gateway.triton.choice_stream import DeltaStream
from appliance.gateway.triton.completion import CompletionRequest, Delta
from appliance.gateway.triton.embedding_call import EmbeddingRequest
from appliance.gateway.triton.forwarded import ForwardedRequest
from appliance.gateway.triton.inference import Inference


class Answering:
    """See the module."""

    def __init__(self, inference: Inference, in_flight: InFlight, waits: WaitEstimator, schema_retries: int) -> None:
        """`schema_retries`: how often a complete answer that breaks its schema is asked for again."""
        self._inference = inference
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
            TooManyAnswersError: the request has more answers than a limit of requests allows.
            LimitError: there were too many tokens or requests in this minute, or there are too many answers at once.
        """
        record.fields |= {
            "model": request.model,
            "answer_id": request.request_id,
            "prompt_tokens": sum(map(len, request.prompts)),
            "stream": request.stream,
        }
        self._in_flight.check_open(request.answers)
        quota = current()
        if request.answers > 1:
            quota.widen(request.answers)
        quota.reserve(list(map(len, request.prompts)), request.prompt_name)
        tally = Tally(record, request, quota, self._waits)
        try:
            answer = Answer(self._stream(request, check, quota.principal.name, tally))
            with self._inference.using(request.model), self._in_flight.holding(answer, request.answers):
                yield answer
        finally:
            tally.end()

    def _stream(self, request: CompletionRequest, check: Check | None, principal: str, tally: Tally) -> DeltaStream:
        """The answers of the model, which count as they arrive; with a check, the model may be asked again."""

        def send(each: CompletionRequest) -> DeltaStream:
            return CountedSource(self._inference.complete(each, principal), tally.count, tally.refused)

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
    def embed(self, record: Record, request: EmbeddingRequest, param: str) -> Iterator[Answer[bytes]]:
        """Answer a request for embeddings or logits of pairs inside the block; `param`: the client's name of the texts.

        It counts as one request, and its tokens count like those of a prompt; see `complete` for the errors.
        """
        lengths = list(map(len, request.texts))
        record.fields |= {"model": request.model, "answer_id": request.request_id, "prompt_tokens": sum(lengths)}
        self._in_flight.check_open()
        quota = current()
        quota.reserve(lengths, param)

        def count(_vectors: bytes | None) -> None:
            record.first_token()
            quota.spend(0)

        answer = Answer(CountedSource(self._inference.embed(request), count, quota.give_back))
        end = self._waits.begin(request.model)
        try:
            with self._inference.using(request.model), self._in_flight.holding(answer):
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
        self._in_flight.check_open()
        quota = current()
        if quota.limits_tokens:
            raise ForbiddenMethodError("calls that are passed on cannot be counted in tokens, which are limited here")

        def count(_message: bytes | None) -> None:
            record.first_token()

        end = self._waits.begin(request.served) if request.served is not None else None
        try:
            answer = Answer(CountedSource(self._inference.forward(request, quota.principal.name), count))
            with self._inference.using(request.served), self._in_flight.holding(answer):
                yield answer
        finally:
            if end is not None:
                end(None)
