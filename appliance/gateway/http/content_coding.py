"""Decodes a compressed request body while it arrives. A small body can decode to a very large one, so the caller stops.

Source: RFC 9110, section 8.4 (Content-Encoding); RFC 1952 (gzip).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from appliance.errors import RequestError
from appliance.gateway.refusals import BodyCodingError

READABLE = "gzip"
_IDENTITY = {"", "identity"}
_GZIP = {"gzip", "x-gzip"}
# zlib's number for: a gzip header, and the largest window.
_GZIP_BITS = 16 + zlib.MAX_WBITS
# Decoding this much takes well below a millisecond.
_PIECE_BYTES = 64 << 10


class Decoder(Protocol):
    """Decodes one body."""

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """Decode a piece of the body in bounded steps; raises RequestError if the body is not valid."""

    def end(self) -> None:
        """Check that the body is complete; raises RequestError if it is not."""


def decoder(coding: str) -> Decoder:
    """Return a decoder for the value of the header Content-Encoding.

    Raises:
        BodyCodingError: the gateway does not read this coding.
    """
    coding = coding.strip().lower()
    if coding in _IDENTITY:
        return _Identity()
    if coding in _GZIP:
        return _Gzip()
    raise BodyCodingError(
        "the body has a Content-Encoding that is not supported", hint="send it without a coding, or with gzip"
    )


class _Identity:
    def decode(self, piece: bytes) -> Iterator[bytes]:
        yield piece

    def end(self) -> None:
        pass


class _Gzip:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_BITS)

    def decode(self, piece: bytes) -> Iterator[bytes]:
        may_have_more = True
        while may_have_more:
            try:
                decoded = self._zlib.decompress(piece, _PIECE_BYTES)
            except zlib.error as error:
                raise RequestError(
                    "the body is not valid gzip", hint="remove Content-Encoding, or send gzip"
                ) from error
            if self._zlib.unused_data:
                # Another member, which RFC 1952 allows: no client sends one, and millions of empty ones cost time.
                raise RequestError("the gzip body continues after its end", hint="compress the body as one member")
            yield decoded
            piece = self._zlib.unconsumed_tail
            # A full step can leave output in zlib although it has consumed all input.
            may_have_more = bool(piece) or len(decoded) == _PIECE_BYTES

    def end(self) -> None:
        if not self._zlib.eof:
            raise RequestError("the gzip body is incomplete", hint="send the complete body")
