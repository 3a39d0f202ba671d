"""Asks the model again if a complete answer certainly breaks its schema. Only for answers that are not streamed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Protocol

from appliance.errors import ApplianceError
from appliance.gateway.triton.choice_stream import DeltaStream, derived_seed
from appliance.gateway.triton.completion import CompletionRequest, Delta
from appliance.inference.events import Usage


class Check(Protocol):
    """The check of one answer; it does not depend on earlier answers."""

    def breaks(self, deltas: Sequence[Delta]) -> bool:
        """Whether the answer certainly breaks its schema."""

    def retried(self) -> None:
        """Note that the model was asked again."""


class RetryingStream:
    """The deltas of the last answer; its usage is the sum of all answers. See `DeltaStream`."""

    def __init__(
        self,
        first: DeltaStream,
        again: Callable[[], DeltaStream | None],
        check: Check,
        count: Callable[[Delta], None],
    ) -> None:
        """Begin with the first answer's stream.

        Args:
            first: the stream.
            again: asks the model again; None if the request has no retry left.
            check: the check.
            count: called with each delta of each answer when it arrives, without usage.
        """
        self._stream = first
        self._again = again
        self._check = check
        self._count = count
        self._ready: deque[Delta] | None = None

    async def read(self) -> Delta | None:
        """Return the next delta, or None after the last; all answers are complete before the first delta returns."""
        if self._ready is None:
            self._ready = deque(await self._last())
        return self._ready.popleft() if self._ready else None

    def cancel(self) -> None:
        """Free the slot, and ask no more."""
        self._again = lambda: None
        self._stream.cancel()

    async def _last(self) -> Sequence[Delta]:
        answer: list[Delta] = []
        await self._read_into(answer)
        while await asyncio.to_thread(self._check.breaks, answer) and (stream := self._again()) is not None:
            self._stream = stream
            self._check.retried()
            following: list[Delta] = []
            try:
                await self._read_into(following)
            except ApplianceError:
                break  # The time is over, or the engine failed: the complete answer is better than none.
            answer = [replace(delta, usage=_sum(delta.usage, answer[-1].usage)) for delta in following]
        return answer

    async def _read_into(self, deltas: list[Delta]) -> None:
        while (delta := await self._stream.read()) is not None:
            deltas.append(delta)
            self._count(replace(delta, usage=None))


def can_retry(request: CompletionRequest) -> bool:
    """Whether another answer can differ and can replace the first: neither a stream nor a greedy answer can."""
    return not request.stream and request.choices == 1 and request.sampling.get("temperature") != 0


def another(request: CompletionRequest, number: int, timeout_s: float) -> CompletionRequest:
    """The request for a further answer: its id and, if the client set a seed, its seed are derived from the first."""
    sampling = {**request.sampling}
    if "seed" in sampling:
        sampling["seed"] = derived_seed(sampling["seed"], number)
    identity = f"{request.request_id}-retry-{number}"
    return replace(request, request_id=identity, sampling=sampling, timeout_s=timeout_s)


def _sum(usage: Usage | None, earlier: Usage | None) -> Usage | None:
    """All tokens and seconds of both answers; prompts are computed again, so they count again."""
    if usage is None or earlier is None:
        return usage
    return Usage(*(getattr(usage, field.name) + getattr(earlier, field.name) for field in fields(Usage)))
