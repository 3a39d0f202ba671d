"""Sends one answer of a model to an HTTP client: streamed or whole. A disconnect of the client frees the slot."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

from starlette.types import Receive, Scope, Send

from appliance.errors import ApplianceError
from appliance.gateway.access_log import Record
from appliance.gateway.answering.answer import Answer
from appliance.gateway.chat.checked import Unheld
from appliance.gateway.http.event_stream import EventStream, Pulse
from appliance.gateway.http.header_list import listed
from appliance.gateway.http.unheld import BROKEN, RETRIES, UNHELD
from appliance.gateway.http.writer import Writer
from appliance.gateway.refusals import ClientGoneError

_DOCUMENT = [(b"content-type", b"application/json")]
Piece = TypeVar("Piece")
Piece_contra = TypeVar("Piece_contra", contravariant=True)


class AnswerEncoder(Protocol[Piece_contra]):
    """Encodes one answer as bytes."""

    def head(self) -> bytes:
        """Events before the first piece."""

    def events(self, piece: Piece_contra) -> bytes:
        """Events for one piece; empty if the piece adds nothing."""

    def tail(self) -> bytes:
        """Events after the last piece."""

    def document(self, pieces: Sequence[Piece_contra]) -> bytes:
        """The whole answer."""


class HttpAnswer(Generic[Piece]):
    """An ASGI application that answers one request."""

    def __init__(
        self,
        answering: AbstractContextManager[Answer[Piece]],
        encoder: AnswerEncoder[Piece],
        record: Record,
        failure: Callable[[ApplianceError], bytes],
        *,
        pulse: Pulse | None,
        unheld: Unheld | None = None,
        has_large_events: bool = False,
    ) -> None:
        """Create the answer to a request.

        Args:
            answering: admits the request and returns the model's answer; see `Answering`.
            encoder: encodes the answer.
            record: the request's log line.
            failure: encodes an error in the middle of a stream as an event.
            pulse: how a stream shows its client that it waits; None: the answer is one document.
            unheld: the schema keywords that the answer may break.
            has_large_events: a stream's events can be megabytes long, so they are encoded on a thread.
        """
        self._answering = answering
        self._encoder = encoder
        self._record = record
        self._failure = failure
        self._pulse = pulse
        self._unheld = unheld or Unheld()
        self._has_large_events = has_large_events

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; an error before the first byte of the answer is raised, a later error becomes the last event."""
        with self._answering as answer:
            # The engine also sends pieces for a document with many log-probabilities.
            self._record.fields["stream"] = self._pulse is not None
            watcher = asyncio.create_task(_watch_client(receive, answer))
            writer = Writer(answer, send)
            try:
                if self._pulse is None:
                    await self._whole(answer, writer)
                else:
                    await self._stream(answer, writer, self._pulse)
            except ApplianceError as error:
                if not writer.has_begun:
                    raise
                # The write hung. The kernel's own limit (see listeners) closes the socket without flushing it.
                self._record.fields["error"] = type(error).__name__
            finally:
                watcher.cancel()
                if self._unheld.retries:
                    self._record.fields["schema_retries"] = self._unheld.retries
                if self._unheld.broken:
                    # Only the number is logged: clients choose the names of their schemas.
                    self._record.fields["schema_broken"] = len(self._unheld.broken)

    async def _stream(self, answer: Answer[Piece], writer: Writer, pulse: Pulse) -> None:
        stream = EventStream(answer, writer, pulse, self._encoder.head, listed(UNHELD, self._unheld.places))
        async with stream.beating():
            try:
                while (piece := await answer.read()) is not None:
                    events = functools.partial(self._encoder.events, piece)
                    await stream.write(events, is_large=self._has_large_events)
                # The last event of some APIs repeats the whole answer.
                await stream.write(self._encoder.tail, more=False, is_large=True)
            except ClientGoneError:
                raise
            except ApplianceError as error:
                # Before the head, an error of the engine still gets its own status.
                if not writer.has_begun:
                    raise
                self._record.fields["error"] = type(error).__name__
                await stream.write(functools.partial(self._failure, error), more=False)

    async def _whole(self, answer: Answer[Piece], writer: Writer) -> None:
        pieces: list[Piece] = []
        while (piece := await answer.read()) is not None:
            pieces.append(piece)
        # The document can be megabytes of log-probabilities, or a long thought whose tokens are counted.
        document = await asyncio.to_thread(self._encoder.document, pieces)
        retries = [str(self._unheld.retries)] if self._unheld.retries else []
        of_schemas = [
            *listed(UNHELD, self._unheld.places),
            *listed(BROKEN, self._unheld.broken),
            *listed(RETRIES, retries),
        ]
        await writer.start([*_DOCUMENT, *of_schemas, (b"content-length", b"%d" % len(document))])
        await writer.write(document, more=False)


async def _watch_client(receive: Receive, answer: Answer[Piece]) -> None:
    """Interrupt the answer when the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    answer.interrupt(ClientGoneError("the client hung up"))
