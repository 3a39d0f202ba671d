"""What the gateway has seen of each model's requests: how many are out, and how long finished ones held a slot.

It estimates how long a new request would wait. It asks nobody, so an answer costs nothing.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_REMEMBERED = 64


@dataclass(frozen=True)
class WaitEstimate:
    """How long a request that comes now would wait for a slot, and what that is concluded from.

    Attributes:
        requests: sent to the model and not yet over.
        slots: sequences that the engine runs at the same time.
        wait_s: the estimate; None when no slot is free and nothing has finished yet to conclude from.
        finished: how many finished requests it rests on.
        service_s: the median time that those held a slot; None without any.
    """

    requests: int
    slots: int
    wait_s: float | None
    finished: int
    service_s: float | None


@dataclass
class _Seen:
    """Of one model."""

    requests: int = 0
    service_s: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class WaitEstimator:
    """See the module."""

    def __init__(self, slots: Mapping[str, int]) -> None:
        """`slots` of each model by its name; no other is asked for."""
        self._slots = slots
        self._models: dict[str, _Seen] = {}

    def begin(self, model: str) -> Callable[[float | None], None]:
        """A request is sent. Call what is returned when it is over; more than once does not matter.

        It takes the seconds that the request held a slot, by the engine's account, or None if it did not end well.
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

        The engine keeps its slots busy, so one becomes free every `service_s / slots` seconds, and the request stands
        behind those that have none.
        """
        seen = self._models.get(model, _Seen())
        service_s = statistics.median(seen.service_s) if seen.service_s else None
        slots = self._slots[model]
        place = seen.requests - slots + 1
        wait_s = 0.0 if place <= 0 else None if service_s is None else place * service_s / slots
        return WaitEstimate(seen.requests, slots, wait_s, len(seen.service_s), service_s)
