"""Times on the command line: a duration from now, or a date."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone

import click

_LENGTH = re.compile(r"(\d{1,6})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def length_s(_context: click.Context, _option: click.Parameter, text: str) -> int:
    """Callback of an option: "12h" → seconds."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a duration; write, for example, 30m, 12h or 90d")
    return int(found[1]) * _UNIT_S[found[2]]


def moment(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Callback of an option: "90d" from now, or the start of a UTC date → Unix seconds."""
    if text is None:
        return None
    found = _LENGTH.fullmatch(text)
    if found:
        return int(time.time()) + int(found[1]) * _UNIT_S[found[2]]
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp())
    except ValueError as error:
        told = f"{text!r} is not a time; write a duration such as 90d, or a date such as 2027-01-31"
        raise click.BadParameter(told) from error
