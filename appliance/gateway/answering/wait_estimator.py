"""Estimates how long a new request of a model would wait.

The estimate uses only what the gateway has seen: the number of running requests, and how long finished requests held
a slot. It sends no request to Triton, so it costs nothing.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_REMEMBERED = 64


@dataclass(frozen=True)
class WaitEstimate:
    """How long a new request would wait for a slot, and the figures behind the estimate.

    Attributes:
        requests: requests that were sent to the model and have not ended.
        slots: sequences that the engine runs at the same time.
        wait_s: the estimate; None if no slot is free and no request has finished yet.
        finished: the number of finished requests that the estimate uses.
        service_s: the median time that those requests held a slot; None if there are none.
    """

    requests: int
    slots: int
    wait_s: float | None
    finished: int
    service_s: float | None


@dataclass
class _Seen:
    """What was seen of one model."""

    requests: int = 0
    service_s: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class WaitEstimator:
    """See the module."""

    def __init__(self, slots: Mapping[str, int]) -> None:
        """`slots` maps each model's name to its slots; `estimate` accepts only these models."""
        self._slots = slots
        self._models: dict[str, _Seen] = {}

    def begin(self, model: str) -> Callable[[float | None], None]:
        """Count that a request is sent. Call the returned function when the request ends; a second call has no effect.

        The function takes the seconds that the request held a slot, as the engine reports them, or None if it failed.
        """
        seen = self._models.setdefault(model, _Seen())
        seen.requests += 1
        is_over = False

        def end(service_s: float | None) -> None:
            nonlocal is_over
            if is_over:
                return
            is_over = True
            seen.requests -= 1
            if service_s is not None:
                seen.service_s.append(service_s)

        return end

    def estimate(self, model: str) -> WaitEstimate:
        """See WaitEstimate.

        All slots are busy, so one becomes free every `service_s / slots` seconds. The new request waits behind the
        requests that have no slot yet.
        """
        seen = self._models.get(model, _Seen())
        service_s = statistics.median(seen.service_s) if seen.service_s else None
        slots = self._slots[model]
        place = seen.requests - slots + 1
        wait_s = 0.0 if place <= 0 else None if service_s is None else place * service_s / slots
        return WaitEstimate(seen.requests, slots, wait_s, len(seen.service_s), service_s)
