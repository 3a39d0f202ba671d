"""A limit per minute: a token bucket that holds one minute's amount and may go into debt. The caller passes `now`.

Source: the token bucket of RFC 2697 section 3, refilled without a timer. Debt is for amounts that are known only
afterwards, such as the length of an answer: the account waits until the debt is refilled.
"""

from __future__ import annotations

import math

_MINUTE_S = 60.0


class Rate:
    """The remaining amount of one limit.

    Args:
        per_minute: the amount that is refilled in a minute, and the largest amount that can accumulate.
        now: seconds of any monotonic clock; use the same clock for every call.
    """

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._as_of = now

    def left(self, now: float) -> float:
        """The amount that is available now; a negative amount is debt."""
        passed = max(0.0, now - self._as_of)
        self._left = min(float(self.per_minute), self._left + passed * self.per_minute / _MINUTE_S)
        self._as_of = max(now, self._as_of)
        return self._left

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` is available: 0 if it is available now, infinity if it exceeds one minute's amount."""
        if amount > self.per_minute:
            return math.inf
        return max(0.0, amount - self.left(now)) * _MINUTE_S / self.per_minute

    def full_s(self, now: float) -> float:
        """Seconds until the bucket is full."""
        return self.wait_s(self.per_minute, now)

    def take(self, amount: float, now: float) -> None:
        """Take an amount, going into debt if necessary; a negative amount gives back."""
        self._left = min(float(self.per_minute), self.left(now) - amount)
