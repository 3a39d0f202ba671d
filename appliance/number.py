"""Numbers that a file states: type and bounds are looked at before anything is computed or reserved with them.

A file may state any number; what is refused here would otherwise cost memory, time, or an error without a name.
"""

from __future__ import annotations

import math
import reprlib
import sys
from typing import Any

_SHOWN_BITS = 128
_LARGEST = sys.float_info.max
# The largest file system holds fewer bytes.
MOST = 1 << 60


def whole(value: Any, *, least: int, most: int = MOST) -> int:
    """Return `value` if it is a whole number within the bounds.

    Raises:
        ValueError: it is not; the message reads on after the number's name.
    """
    if type(value) is not int or not least <= value <= most:
        upper = "" if most == MOST else f" to {most}"
        raise ValueError(f"is {shown(value)}, expected a whole number from {least}{upper}")
    return value


def real(value: Any, *, least: float, most: float = math.inf) -> float:
    """Return `value` as a float if it is a finite number within the bounds.

    Raises:
        ValueError: it is not; the message reads on after the number's name.
    """
    if type(value) not in {int, float} or not least <= value <= min(most, _LARGEST):
        upper = "" if math.isinf(most) else f" to {most:g}"
        raise ValueError(f"is {shown(value)}, expected a number from {least:g}{upper}")
    return float(value)


def shown(value: Any) -> str:
    """The value in a message of one line, whatever its size: Python refuses to print the longest numbers."""
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"a number of {value.bit_length()} bits"
    return reprlib.repr(value)
