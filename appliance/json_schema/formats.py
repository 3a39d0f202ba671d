"""Schemas that enforce string formats exactly, for the formats that the compiler itself enforces only roughly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The compiler enforces these formats itself.
COMPILED = frozenset({"duration", "email", "ipv4", "ipv6", "uri", "uuid"})

_YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_FOURTH = "(0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = f"([0-9]{{2}}{_FOURTH}|{_FOURTH}00)"
_DAYS_31 = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
_DAYS_30 = "(0[469]|11)-(0[1-9]|[12][0-9]|30)"
_DATE = f"({_YEAR}-({_DAYS_31}|{_DAYS_30}|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
# Leap seconds are not allowed: whether one exists depends on the offset, and few parsers accept them.
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = f"{_CLOCK}:[0-5][0-9](\\.[0-9]+)?([zZ]|[+\\-]{_CLOCK})"
# A label has at most 63 characters. Two hyphens as third and fourth characters are excluded: they mark encoded labels.
_LETTER, _INNER = "[a-zA-Z0-9]", "[a-zA-Z0-9\\-]"
_LABEL = (
    f"({_LETTER}({_INNER}{{0,2}}{_LETTER})?|{_LETTER}{_INNER}({_LETTER}{_INNER}|-{_LETTER}){_INNER}{{0,58}}{_LETTER})"
)

FORMATS: Mapping[str, Mapping[str, Any]] = {
    "date": {"pattern": f"^{_DATE}$"},
    "date-time": {"pattern": f"^{_DATE}[tT]{_TIME}$"},
    "time": {"pattern": f"^{_TIME}$"},
    "hostname": {"pattern": f"^{_LABEL}(\\.{_LABEL})*$", "maxLength": 253},
}
