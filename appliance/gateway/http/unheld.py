"""Headers about schemas: the keywords that an answer may break, the schemas that it broke, and the retries."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNHELD = b"appliance-schema-unheld"
BROKEN = b"appliance-schema-broken"
RETRIES = b"appliance-schema-retries"
# Clients and proxies accept headers of a few kilobytes.
_MAX_NAMED = 16
_MAX_CHARACTERS = 160
# Names in a path are already percent-encoded, and tools' names are plain: other characters are not expected.
_NOT_IN_HEADERS = re.compile("[^ -~]")


def listed(name: bytes, entries: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return the header with its entries, or nothing if there are no entries.

    "..." replaces omitted entries, and the beginning of a long entry.
    """
    if not entries:
        return []
    named = [each if len(each) <= _MAX_CHARACTERS else f"...{each[-_MAX_CHARACTERS:]}" for each in entries[:_MAX_NAMED]]
    more = ["..."] if len(entries) > _MAX_NAMED else []
    return [(name, _NOT_IN_HEADERS.sub("?", ", ".join([*named, *more])).encode())]
