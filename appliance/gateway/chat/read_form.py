"""Lets a form of parts answer a model that speaks in text: a reader stands between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from appliance.gateway.chat.parts import Piece
from appliance.gateway.chat.reader import Reader
from appliance.gateway.triton.completion import Delta


class PartForm(Protocol):
    """The bytes of an answer that consists of parts."""

    def head(self) -> bytes:
        """Events before the first piece."""

    def events(self, piece: Piece) -> bytes:
        """Events for one piece; empty if there is nothing to say."""

    def tail(self) -> bytes:
        """Events after the last piece."""

    def document(self, pieces: Sequence[Piece]) -> bytes:
        """The whole answer."""


class ReadForm:
    """A form of deltas, see `HttpAnswer`."""

    def __init__(self, form: PartForm, reader: Reader) -> None:
        self._form = form
        self._reader = reader
        self.head = form.head
        self.tail = form.tail

    def events(self, delta: Delta) -> bytes:
        """Events for one piece."""
        return self._form.events(self._reader.read(delta))

    def document(self, deltas: Sequence[Delta]) -> bytes:
        """The whole answer."""
        return self._form.document([self._reader.read(delta) for delta in deltas])
