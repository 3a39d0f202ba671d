"""`keep_alive`: how long a model stays loaded after a request, as a number of seconds or as a duration of Go.

Source: https://pkg.go.dev/time#ParseDuration.
"""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

_NUMBER = r"\d{1,12}(?:\.\d{0,12})?|\.\d{1,12}"
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern}){{1,8}})")
_MOST_S = 10**15
# Clients that keep the value in a text field send numbers as text.
_SECONDS = re.compile(rf"[+-]?(?:{_NUMBER})")


def _seconds_of(value: Any) -> float:
    """The seconds; a negative value means that the model stays loaded: infinite."""
    found = _parsed(value)
    if found is None:
        raise PydanticCustomError("keep_alive", 'must be a number of seconds, or a duration such as "5m"')
    return math.inf if found < 0 else found


def _parsed(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, int):
        # An integer can be too long for a float.
        return float(max(-_MOST_S, min(value, _MOST_S)))
    return _of_text(value) if isinstance(value, str) else None


def _of_text(text: str) -> float | None:
    if _SECONDS.fullmatch(text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(match[2]))
    return -seconds if match[1] == "-" else seconds


KEEP_ALIVE = PlainValidator(_seconds_of, json_schema_input_type=float | str)
