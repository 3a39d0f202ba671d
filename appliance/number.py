"""Numbers from files: checks type and bounds before a number is used to compute or to allocate.

A file may contain any number; an unchecked number could cost memory or time, or cause an unclear error.
"""

from __future__ import annotations

import math
import reprlib
import sys
from typing import Any

_SHOWN_BITS = 128
_LARGEST = sys.float_info.max
# More than the bytes of the largest file system.
MOST = 1 << 60


def whole(value: Any, *, least: int, most: int = MOST) -> int:
    """Return `value` if it is an integer within the bounds.

    Raises:
        ValueError: it is not; the message continues after the number's name.
    """
    if type(value) is not int or not least <= value <= most:
        upper = "" if most == MOST else f" to {most}"
        raise ValueError(f"is {shown(value)}, expected a whole number from {least}{upper}")
    return value


def real(value: Any, *, least: float, most: float = math.inf) -> float:
    """Return `value` as a float if it is a finite number within the bounds.

    Raises:
        ValueError: it is not; the message continues after the number's name.
    """
    if type(value) not in {int, float} or not least <= value <= min(most, _LARGEST):
        upper = "" if math.isinf(most) else f" to {most:g}"
        raise ValueError(f"is {shown(value)}, expected a number from {least:g}{upper}")
    return float(value)


def shown(value: Any) -> str:
    """The value for a message of one line, of limited size: Python refuses to print the longest numbers."""
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"a number of {value.bit_length()} bits"
    return reprlib.repr(value)
