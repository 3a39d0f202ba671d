"""How many sequences may run in the heat: a rule over values, without clock or file.

Fewer sequences are let in before the board lowers its clocks, because a lowered clock makes every stream slower, those
that run already too. The numbers:

- with MARGIN_C or more degrees to go, all slots may be filled;
- with LEAST_C or fewer, one; in between their number falls evenly with the temperature;
- fewer count at once; one more counts when it would be allowed HYSTERESIS_C hotter too, and RECOVERY_S after the last
  change, so that what one sequence heats is seen before the next is let in.
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
    """What is allowed, and since when (seconds of any clock that does not jump)."""

    slots: int
    since: float


def capacity(headroom_c: float, slots: int) -> int:
    """Sequences that may run with so many degrees to go, at least 1 and at most `slots`."""
    share = (headroom_c - LEAST_C) / (MARGIN_C - LEAST_C)
    return 1 + math.floor(min(max(share, 0.0), 1.0) * (slots - 1))


def allow(before: Allowance, headroom_c: float | None, slots: int, now: float) -> Allowance:
    """The allowance after a look at the board; without a temperature it stays as it is.

    Args:
        before: the one so far; at the start, all slots.
        headroom_c: degrees until a clock is lowered.
        slots: of the engine, at least 1.
        now: seconds of the clock of `before.since`.
    """
    if headroom_c is None:
        return before
    if before.slots > (most := capacity(headroom_c, slots)):
        return Allowance(most, now)
    if before.slots < capacity(headroom_c - HYSTERESIS_C, slots) and now - before.since >= RECOVERY_S:
        return Allowance(before.slots + 1, now)
    return before
