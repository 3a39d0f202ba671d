"""The messages between an engine and a grammar's process, over a socket that preserves message boundaries.

The engine sends tokens. The process sends one Reply after it has compiled the grammar, and one after each token.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NUMBER = struct.Struct("<i")
# Larger than the mask of any vocabulary.
MAX_MESSAGE_BYTES = 128 << 10


class Kind(enum.IntEnum):
    """The meaning of a reply."""

    OPEN = 0  # text can be added; the content is a mask
    COMPLETE = 1  # the text matches and nothing can be added
    ERROR = 2  # the content is the reason why the grammar cannot continue
    ENDED = 3  # the process ended; the content is its status: see `why_ended`


@dataclass(frozen=True)
class Reply:
    """A message from a grammar's process, or the host's message that the process has ended."""

    kind: Kind
    content: bytes = b""

    @classmethod
    def from_bytes(cls, message: bytes) -> Reply:
        """Decode a message."""
        return cls(Kind(message[0]), message[1:])

    def to_bytes(self) -> bytes:
        """Encode the message."""
        return bytes([self.kind]) + self.content


def number_from_bytes(content: bytes) -> int:
    """Decode a token or a status."""
    return int(_NUMBER.unpack(content)[0])


def number_to_bytes(number: int) -> bytes:
    """Encode a token or a status."""
    return _NUMBER.pack(number)


def forbidden_by(mask: NDArray[np.uint8], tokens: int) -> NDArray[np.bool_]:
    """Which of the first `tokens` tokens may not come next, [tokens]."""
    # Callers use the forbidden tokens: inside a string, few tokens are forbidden and thousands are allowed.
    return np.unpackbits(~mask, count=tokens, bitorder="little").view(np.bool_)
