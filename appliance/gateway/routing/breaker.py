"""A circuit breaker: after several faults in a row, a model gets no requests for a while, then single trials."""

from __future__ import annotations

from collections.abc import Callable

FAULTS = 3
_FIRST_PAUSE_S, _MAX_PAUSE_S = 5.0, 60.0


class Breaker:
    """The breaker of one model. It is open after FAULTS faults in a row."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._clock = clock
        self._faults = 0
        self._pause_s = _FIRST_PAUSE_S
        self._next_trial_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the model fails: it gets only trials."""
        return self._faults >= FAULTS

    @property
    def allows(self) -> bool:
        """Whether a request may be sent to the model now."""
        return not self.is_open or self._clock() >= self._next_trial_at

    def begin(self) -> None:
        """Note that a request is sent to the model. If the breaker is open, it is a trial, and others go elsewhere."""
        if self.is_open:
            self._next_trial_at = self._clock() + self._pause_s

    def succeeded(self) -> None:
        """Note that the model answered."""
        self._faults, self._pause_s = 0, _FIRST_PAUSE_S

    def failed(self) -> None:
        """Note a fault of the model."""
        if self.is_open:
            self._pause_s = min(2 * self._pause_s, _MAX_PAUSE_S)
        self._faults += 1
        self._next_trial_at = self._clock() + self._pause_s
