"""Patterns of well-known libraries that contain look-ahead, rewritten without it.

Each result is a schema that allows only texts that the pattern allows. Sources: pydantic's JSON schema of `Decimal`
(versions before 2.13) and zod's `regexes.ts` (version 4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_SECONDS = r"\d+([.,]\d+)?S"
_TIME = rf"T(\d+H(\d+M)?({_SECONDS})?|\d+M({_SECONDS})?|{_SECONDS})"
_ZOD: Mapping[str, Mapping[str, Any]] = {
    r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$": {
        "pattern": rf"^P(\d+W|(\d+Y(\d+M)?(\d+D)?|\d+M(\d+D)?|\d+D)({_TIME})?|{_TIME})$"
    },
    r"^(?=[\s\S]*[\p{Extended_Pictographic}\p{Regional_Indicator}\u20E3])"
    r"[\p{Extended_Pictographic}\p{Emoji_Component}]+$": {
        # Later versions of Unicode removed characters from Extended_Pictographic, but not from this class.
        "pattern": r"^\p{Emoji_Presentation}[\p{Emoji_Presentation}\u{FE0F}\u{200D}]*$"
    },
    r"^(?=.{1,253}\.?$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[-0-9a-zA-Z]{0,61}[0-9a-zA-Z])?)*\.?$": {
        "pattern": r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
        "maxLength": 253,
    },
}
_DECIMAL = re.escape(r"^(?!^[-+.]*$)[+-]?0*")
_COUNT = r"\{0,(\d{1,2})\}"
_LOOK = r"\(\?=\[\\d\.\]\{1,\d{1,3}\}0\*\$\)"
_PYDANTIC: tuple[tuple[re.Pattern[str], Callable[..., str]], ...] = (
    (re.compile(_DECIMAL + re.escape(r"\d*\.?\d*$")), lambda: r"(\d+(\.\d*)?|\.\d+)"),
    (re.compile(_DECIMAL + r"\\d\*\\\.\?\\d" + _COUNT + r"0\*\$"), lambda places: _places("+", places)),
    (
        re.compile(_DECIMAL + r"\(\?:\\d" + _COUNT + r"\|" + _LOOK + r"\\d\*\\\.\\d\*0\*\$\)"),
        lambda digits: "|".join(_places(f"{{{whole}}}", digits - whole) for whole in range(1, digits + 1)),
    ),
    (
        re.compile(rf"{_DECIMAL}\(\?:\\d{_COUNT}\|{_LOOK}\\d{_COUNT}\\\.\\d{_COUNT}0\*\$\)"),
        lambda whole, _, places: _places(f"{{1,{whole}}}", places) if whole else "0" + _fraction(places),
    ),
)  # fmt: skip


def known(pattern: str) -> Mapping[str, Any] | None:
    """The schema for a known pattern, else None."""
    if pattern in _ZOD:
        return _ZOD[pattern]
    for form, rewritten in _PYDANTIC:
        found = form.fullmatch(pattern)
        if found:
            return {"pattern": f"^[+-]?({rewritten(*map(int, found.groups()))})$"}
    return None


def _places(whole: str, places: int) -> str:
    return rf"\d{whole}{_fraction(places)}"


def _fraction(places: int) -> str:
    return rf"(\.\d{{1,{places}}})?" if places else ""
