"""A list of names as a response header."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Clients and proxies accept headers of a few kilobytes.
_MAX_NAMED = 16
_MAX_CHARACTERS = 160
# Paths in schemas are percent-encoded and tools' names are plain, but clients choose the names of parameters.
_NOT_IN_HEADERS = re.compile("[^ -~]")


def listed(name: bytes, entries: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return the header with its entries, or nothing if there are no entries.

    "..." replaces omitted entries, and the beginning of a long entry.
    """
    if not entries:
        return []
    more = ["..."] if len(entries) > _MAX_NAMED else []
    return [(name, ", ".join([*map(_plain, entries[:_MAX_NAMED]), *more]).encode())]


def _plain(entry: str) -> str:
    """The entry in characters of headers, where white space at the ends is not allowed."""
    text = _NOT_IN_HEADERS.sub("?", entry).strip() or '""'
    return text if len(text) <= _MAX_CHARACTERS else f"...{text[-_MAX_CHARACTERS:]}"
