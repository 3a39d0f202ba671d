"""So many a minute: a token bucket that holds a minute's worth and may go into debt. It has no clock; `now` is given.

Source: the token bucket of RFC 2697 section 3, refilled without a timer. Debt is for what is known only afterwards, the
length of an answer: who owes waits until it is paid back.
"""

from __future__ import annotations

import math

_MINUTE_S = 60.0


class Rate:
    """What is left of an allowance.

    Args:
        per_minute: how much comes back in a minute, and how much can be saved up.
        now: seconds of any clock that never goes back; the same one for every call.
    """

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._as_of = now

    def left(self, now: float) -> float:
        """What could be taken now; negative is debt."""
        passed = max(0.0, now - self._as_of)
        self._left = min(float(self.per_minute), self._left + passed * self.per_minute / _MINUTE_S)
        self._as_of = max(now, self._as_of)
        return self._left

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` could be taken: 0 when it can be now, infinity when it is over a minute's worth."""
        if amount > self.per_minute:
            return math.inf
        return max(0.0, amount - self.left(now)) * _MINUTE_S / self.per_minute

    def full_s(self, now: float) -> float:
        """Seconds until all of it is there again."""
        return self.wait_s(self.per_minute, now)

    def take(self, amount: float, now: float) -> None:
        """Take it, into debt if need be; a negative amount gives back."""
        self._left = min(float(self.per_minute), self.left(now) - amount)
