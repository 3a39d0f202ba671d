"""Numbers of a schema, which the compiler represents as floats."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

LARGEST = sys.float_info.max


def is_exact(value: Any) -> bool:
    """Whether every number in a value can be represented exactly as a float."""
    if isinstance(value, list):
        return all(map(is_exact, value))
    if isinstance(value, Mapping):
        return all(map(is_exact, value.values()))
    return not isinstance(value, int) or (abs(value) <= LARGEST and int(float(value)) == value)


def drawn_inwards(bound: float, *, up: bool) -> float:
    """The nearest exact number at or above the bound; with `up` false, at or below the bound."""
    near = float(bound)
    if is_exact(bound) or near == bound or (near > bound) == up:
        return bound if is_exact(bound) else int(near)
    return int(math.nextafter(near, math.inf if up else -math.inf))
