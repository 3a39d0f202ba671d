"""Computes the delay before a crashed child is restarted. It does not wait itself."""

from __future__ import annotations

from dataclasses import dataclass

_DELAYS_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_STEADY_S = 60.0


@dataclass
class Backoff:
    """The first restart is immediate, and the delay grows with each crash. A minute without a crash resets it."""

    crashes: int = 0

    def delay_s(self, ran_s: float) -> float:
        """Count a crash after `ran_s` seconds and return the seconds to wait."""
        if ran_s >= _STEADY_S:
            self.crashes = 0
        delay = _DELAYS_S[min(self.crashes, len(_DELAYS_S) - 1)]
        self.crashes += 1
        return delay
