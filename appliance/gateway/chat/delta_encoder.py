"""Connects an encoder of parts with a model that writes text: a reader turns the text into parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from appliance.gateway.chat.parts import Piece
from appliance.gateway.chat.reader import Reader
from appliance.gateway.triton.completion import Delta


class PartEncoder(Protocol):
    """The bytes of an answer that consists of parts."""

    def head(self) -> bytes:
        """Events before the first piece."""

    def events(self, piece: Piece) -> bytes:
        """Events for one piece; empty if the piece adds nothing."""

    def tail(self) -> bytes:
        """Events after the last piece."""

    def document(self, pieces: Sequence[Piece]) -> bytes:
        """The whole answer."""


class DeltaEncoder:
    """An encoder of deltas; see `AnswerEncoder`."""

    def __init__(self, encoder: PartEncoder, reader: Reader) -> None:
        self._encoder = encoder
        self._reader = reader
        self.head = encoder.head
        self.tail = encoder.tail

    def events(self, delta: Delta) -> bytes:
        """Events for one piece."""
        return self._encoder.events(self._reader.read(delta))

    def document(self, deltas: Sequence[Delta]) -> bytes:
        """The whole answer."""
        return self._encoder.document([self._reader.read(delta) for delta in deltas])
