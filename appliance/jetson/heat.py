"""The rule for how many sequences may run at a temperature: a function of values, without clock or file.

The rule admits fewer sequences before the board throttles its clocks, because a throttled clock slows every stream,
including running streams. The headroom is the number of degrees until throttling:

- With a headroom of MARGIN_C or more, all slots may be used.
- With LEAST_C or less, one slot may be used. Between the two, the number falls linearly with the temperature.
- A smaller number applies immediately. The number rises by one if it would also be allowed HYSTERESIS_C hotter, and
  RECOVERY_S after the last change, so that the heat of one sequence is measured before the next is admitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MARGIN_C = 10.0
LEAST_C = 2.0
HYSTERESIS_C = 3.0
RECOVERY_S = 5.0


@dataclass(frozen=True)
class Allowance:
    """The number of allowed sequences, and since when it applies (seconds of a monotonic clock)."""

    slots: int
    since: float


def capacity(headroom_c: float, slots: int) -> int:
    """Number of sequences that may run with this headroom, at least 1 and at most `slots`."""
    share = (headroom_c - LEAST_C) / (MARGIN_C - LEAST_C)
    return 1 + math.floor(min(max(share, 0.0), 1.0) * (slots - 1))


def allow(before: Allowance, headroom_c: float | None, slots: int, now: float) -> Allowance:
    """The allowance after a reading of the board; unchanged if the headroom is unknown.

    Args:
        before: the previous allowance; at the start, all slots.
        headroom_c: degrees until a clock is throttled.
        slots: slots of the engine, at least 1.
        now: seconds of the same clock as `before.since`.
    """
    if headroom_c is None:
        return before
    if before.slots > (most := capacity(headroom_c, slots)):
        return Allowance(most, now)
    if before.slots < capacity(headroom_c - HYSTERESIS_C, slots) and now - before.since >= RECOVERY_S:
        return Allowance(before.slots + 1, now)
    return before
