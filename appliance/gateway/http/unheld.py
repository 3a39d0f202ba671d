"""The headers that say which keywords of a request's schemas its answer may break, and which schemas it broke."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNHELD = b"appliance-schema-unheld"
BROKEN = b"appliance-schema-broken"
# Clients and proxies take heads of a few kilobytes.
_MAX_NAMED = 16
_MAX_CHARACTERS = 160
# Names in a path are percent-encoded already, and tools' names are plain: nothing else is expected.
_NOT_IN_HEADERS = re.compile("[^ -~]")


def listed(name: bytes, entries: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return the header with its entries, or nothing where there are none.

    "..." stands for entries that are left out, and for the beginning of one that is long.
    """
    if not entries:
        return []
    named = [each if len(each) <= _MAX_CHARACTERS else f"...{each[-_MAX_CHARACTERS:]}" for each in entries[:_MAX_NAMED]]
    more = ["..."] if len(entries) > _MAX_NAMED else []
    return [(name, _NOT_IN_HEADERS.sub("?", ", ".join([*named, *more])).encode())]
