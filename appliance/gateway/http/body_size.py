"""How much a JSON body may hold, counted before it is parsed: parsing and checking hold the interpreter's lock."""

from __future__ import annotations

import asyncio

from appliance.errors import RequestError

# Names of fields count as strings. A turn with a call of a tool has about 20, so there is room for a thousand.
MAX_STRINGS = 20_000
MAX_CONTAINERS = 10_000
# Token ids, most of all.
MAX_COMMAS = 131_072
# Other streams go on after each piece.
_PIECE_BYTES = 1 << 16


async def check_size(content: bytes) -> None:
    """Pass if parsing and checking the body takes no longer than streams may wait.

    Raises:
        RequestError: it has too many strings, objects and lists, or values.
    """
    counts = _Counts()
    start = 0
    while start < len(content):
        if start:
            await asyncio.sleep(0)
        end = start + _PIECE_BYTES
        piece = content[start:end]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            # What it escapes belongs to it.
            end += 1
            piece = content[start:end]
        counts.add(piece)
        counts.check()
        start = end


class _Counts:
    """What has been seen of a body. Where it is no JSON the counts mean nothing, and the parser ends there."""

    def __init__(self) -> None:
        self._strings = 0
        self._containers = 0
        self._commas = 0
        self._is_inside = False

    def add(self, piece: bytes) -> None:
        """Count a piece, which does not end in the midst of an escape."""
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[self._is_inside :: 2])
        quotes = len(parts) - 1
        # Those that end, and one that has begun.
        self._strings += (quotes + (not self._is_inside)) // 2
        self._is_inside ^= quotes % 2 == 1
        self._containers += outside.count(b"{") + outside.count(b"[")
        self._commas += outside.count(b",")

    def check(self) -> None:
        """Raise RequestError if it is too much."""
        for kind, found, most in (
            ("strings, names included", self._strings, MAX_STRINGS),
            ("objects and lists", self._containers, MAX_CONTAINERS),
            ("values", self._commas, MAX_COMMAS),
        ):
            if found > most:
                raise RequestError(f"the body has too many {kind}: the limit is {most}")
