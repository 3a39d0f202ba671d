"""Asks the model again if a complete answer certainly breaks its schema. Only for answers that are not streamed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from appliance.errors import ApplianceError
from appliance.gateway.triton.choice_stream import DeltaStream, derived_seed
from appliance.gateway.triton.completion import CompletionRequest, Delta, added


class Check(Protocol):
    """The check of one answer; it does not depend on earlier answers."""

    def breaks(self, deltas: Sequence[Delta]) -> bool:
        """Whether the answer certainly breaks its schema."""

    def retried(self) -> None:
        """Note that the model was asked again."""


class RetryingStream:
    """The deltas of the last answer; its usage is the sum of all answers. See `DeltaStream`."""

    def __init__(self, first: DeltaStream, retries: Iterator[DeltaStream], check: Check) -> None:
        """Begin with the first answer's stream.

        Args:
            first: the stream.
            retries: each next stream asks the model again.
            check: the check.
        """
        self._stream = first
        self._retries = retries
        self._check = check
        self._ready: deque[Delta] | None = None

    async def read(self) -> Delta | None:
        """Return the next delta, or None after the last; all answers are complete before the first delta returns."""
        if self._ready is None:
            self._ready = deque(await self._last())
        return self._ready.popleft() if self._ready else None

    def cancel(self) -> None:
        """Free the slot, and ask no more."""
        self._retries = iter(())
        self._stream.cancel()

    async def _last(self) -> Sequence[Delta]:
        answer = await _all(self._stream)
        while await asyncio.to_thread(self._check.breaks, answer):
            stream = next(self._retries, None)
            if stream is None:
                break
            self._stream = stream
            self._check.retried()
            try:
                following = await _all(stream)
            except ApplianceError:
                break  # The time is over, or the engine failed: the complete answer is better than none.
            answer = _after(answer, following)
        return answer


def can_retry(request: CompletionRequest) -> bool:
    """Whether another answer can differ and can replace the first: neither a stream nor a greedy answer can."""
    settings = request.sampling
    is_greedy = settings.get("temperature") == 0 or settings.get("top_k") == 1 or settings.get("min_p") == 1
    return not request.stream and request.choices == 1 and not is_greedy


def another(request: CompletionRequest, number: int, timeout_s: float) -> CompletionRequest:
    """The request for a further answer: its id and, if the client set a seed, its seed are derived from the first."""
    sampling = {**request.sampling}
    if "seed" in sampling:
        sampling["seed"] = derived_seed(sampling["seed"], number)
    identity = f"{request.request_id}-retry-{number}"
    return replace(request, request_id=identity, sampling=sampling, timeout_s=timeout_s)


async def _all(stream: DeltaStream) -> list[Delta]:
    deltas = []
    while (delta := await stream.read()) is not None:
        deltas.append(delta)
    return deltas


def _after(earlier: list[Delta], answer: list[Delta]) -> list[Delta]:
    """The answer, with the usage of the earlier answer added to its own."""
    before, last = earlier[-1].usage, answer[-1]
    if before is None or last.usage is None:
        return answer
    return [*answer[:-1], replace(last, usage=added(before, last.usage))]
