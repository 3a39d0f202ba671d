"""What an engine and a grammar's process send each other: one short message at a time, over a socket that keeps them.

The engine sends tokens. The process answers each one, and its own beginning, with a Reply.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

_NUMBER = struct.Struct("<i")
# More than the mask of any vocabulary.
MAX_MESSAGE_BYTES = 128 << 10


class Kind(enum.IntEnum):
    """What a reply means."""

    OPEN = 0  # text can be added; the content is a mask
    COMPLETE = 1  # the text matches and nothing can be added
    ERROR = 2  # the content says why the grammar cannot go on
    ENDED = 3  # the process ended; the content is its status: see `why_ended`


@dataclass(frozen=True)
class Reply:
    """One message from a grammar's process, or from its host about its end."""

    kind: Kind
    content: bytes = b""

    @classmethod
    def from_bytes(cls, message: bytes) -> Reply:
        """Read a message."""
        return cls(Kind(message[0]), message[1:])

    def to_bytes(self) -> bytes:
        """Write it."""
        return bytes([self.kind]) + self.content


def number_from_bytes(content: bytes) -> int:
    """Read a token, or a status."""
    return int(_NUMBER.unpack(content)[0])


def number_to_bytes(number: int) -> bytes:
    """Write a token, or a status."""
    return _NUMBER.pack(number)
