"""The common part of encoders whose answers are never streamed."""

from __future__ import annotations


class WholeEncoder:
    """An `AnswerEncoder` without events; a subclass encodes the document."""

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def events(self, _piece: object) -> bytes:
        """Nothing."""
        return b""

    def tail(self) -> bytes:
        """Nothing."""
        return b""
