"""The path from every API to a model: admits a request, counts it against its principal, sends it and ends it.

HTTP, gRPC and KServe all use it, so rules for every answer belong here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from appliance.gateway.access.request_quota import current
from appliance.gateway.access_log import Record
from appliance.gateway.answering.answer import Answer
from appliance.gateway.answering.in_flight import InFlight
from appliance.gateway.answering.retrying import Check, RetryingStream, another, can_retry
from appliance.gateway.answering.wait_estimator import WaitEstimator
from appliance.gateway.refusals import ForbiddenMethodError, LimitError
from appliance.gateway.triton.choice_stream import DeltaStream
from appliance.gateway.triton.completion import CompletionRequest, Delta, combined
from appliance.gateway.triton.forwarded import ForwardedRequest
from appliance.gateway.triton.inference import Inference
from appliance.inference.events import Usage


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
            RequestError: the request has more answers than the limit of requests in any minute.
            LimitError: there were too many tokens or requests in this minute, or there are too many answers at once.
        """
        record.fields |= {
            "model": request.model,
            "answer_id": request.request_id,
            "prompt_tokens": sum(map(len, request.prompts)),
            "stream": request.stream,
        }
        self._in_flight.check_open()
        quota = current()
        if request.answers > 1:
            quota.widen(request.answers)
        quota.reserve(list(map(len, request.prompts)), request.client_names.get("prompt", "prompt"))
        ends = [self._waits.begin(request.model) for _ in range(request.answers)]
        usages: dict[int, Usage] = {}

        def count(delta: Delta) -> None:
            if not delta.prompt_logprobs or delta.token_ids:
                record.first_token()
            quota.spend(len(delta.token_ids))
            if delta.usage is not None:
                ends[delta.choice](delta.usage.prefill_s + delta.usage.decode_s)
                usages[delta.choice] = delta.usage
                record.used(combined(usages, request.choices))

        stream, counted = self._inference.complete(request, quota.principal.name), count
        if check is not None and can_retry(request):
            until = asyncio.get_running_loop().time() + request.timeout_s
            requests = self._retries(request, until)

            def again() -> DeltaStream | None:
                following = next(requests, None)
                if following is None:
                    return None
                ends[0](None)
                ends[0] = self._waits.begin(request.model)
                return self._inference.complete(following, quota.principal.name)

            def count_usage(delta: Delta) -> None:
                count(replace(delta, token_ids=()))

            stream, counted = RetryingStream(stream, again, check, count), count_usage
        answer = Answer(stream, counted, quota.give_back)
        with self._open(answer, ends):
            yield answer

    def _retries(self, request: CompletionRequest, until: float) -> Iterator[CompletionRequest]:
        """Yield requests with other seeds, each counted against the quota, until one of the limits is reached.

        `until` is the loop's time at which the request's time is over.
        """
        for number in range(1, self._schema_retries + 1):
            left = until - asyncio.get_running_loop().time()
            if left <= 0 or self._in_flight.is_draining:
                return
            try:
                current().reserve([len(request.prompts[0])], request.client_names.get("prompt", "prompt"))
            except LimitError:
                return
            yield another(request, number, left)

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

        def count(_message: Any) -> None:
            record.first_token()

        ends = [self._waits.begin(request.served)] if request.served is not None else []
        answer = Answer(self._inference.forward(request, quota.principal.name), count)
        with self._open(answer, ends):
            yield answer

    @contextlib.contextmanager
    def _open(self, answer: Answer[Any], ends: Sequence[Callable[[float | None], None]]) -> Iterator[None]:
        """Count the answer as under way inside the block, and end all of it with the block."""
        try:
            with self._in_flight.holding(answer):
                yield
        finally:
            for end in ends:
                end(None)
