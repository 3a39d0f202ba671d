"""Limits the number of values in a JSON body before parsing, because parsing holds the interpreter's lock (GIL)."""

from __future__ import annotations

import asyncio

from appliance.errors import RequestError

# Names of fields count as strings. A turn with a tool call has about 20, so a thousand such turns fit.
MAX_STRINGS = 20_000
MAX_CONTAINERS = 10_000
# Mostly token ids.
MAX_COMMAS = 131_072
# Other streams can continue after each piece.
_PIECE_BYTES = 1 << 16


async def check_size(content: bytes) -> None:
    """Check that parsing and checking the body does not delay streams for too long.

    Raises:
        RequestError: the body has too many strings, objects and lists, or values.
    """
    counts = _Counts()
    start = 0
    while start < len(content):
        if start:
            await asyncio.sleep(0)
        end = start + _PIECE_BYTES
        piece = content[start:end]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            # The escaped character belongs to the same piece as its backslash.
            end += 1
            piece = content[start:end]
        counts.add(piece)
        counts.check()
        start = end


class _Counts:
    """The counts so far. If the body is not JSON, the counts mean nothing, and the parser will reject the body."""

    def __init__(self) -> None:
        self._strings = 0
        self._containers = 0
        self._commas = 0
        self._is_inside = False

    def add(self, piece: bytes) -> None:
        """Count a piece, which must not end inside an escape."""
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[self._is_inside :: 2])
        quotes = len(parts) - 1
        # Strings that end in this piece, and a string that begins in it.
        self._strings += (quotes + (not self._is_inside)) // 2
        self._is_inside ^= quotes % 2 == 1
        self._containers += outside.count(b"{") + outside.count(b"[")
        self._commas += outside.count(b",")

    def check(self) -> None:
        """Raise RequestError if a count exceeds its limit."""
        for kind, found, most in (
            ("strings, names included", self._strings, MAX_STRINGS),
            ("objects and lists", self._containers, MAX_CONTAINERS),
            ("values", self._commas, MAX_COMMAS),
        ):
            if found > most:
                raise RequestError(f"the body has too many {kind}: the limit is {most}")
