"""Carries one completion from Triton to an HTTP client: streamed or whole. A client that goes away frees its slot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.types import Receive, Scope, Send

from appliance.errors import ApplianceError
from appliance.gateway.access.visit import refunded
from appliance.gateway.access_log import Record
from appliance.gateway.chat.checked import Unheld
from appliance.gateway.http.unheld import BROKEN, UNHELD, listed
from appliance.gateway.in_flight import Exchange, InFlight
from appliance.gateway.refusals import ClientGoneError
from appliance.gateway.triton.choice_stream import DeltaStream
from appliance.gateway.triton.client import TritonClient
from appliance.gateway.triton.completion import CompletionRequest, Delta
from appliance.inference.events import Usage

_EVENT_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would otherwise collect the events.
    (b"x-accel-buffering", b"no"),
]
_DOCUMENT = [(b"content-type", b"application/json")]


class Form(Protocol):
    """The bytes of one answer in the making; `usage` counts once the answer has ended."""

    @property
    def usage(self) -> Usage:
        """What the answer cost, once it has ended."""

    def head(self) -> bytes:
        """Events before the first piece."""

    def events(self, delta: Delta) -> bytes:
        """Events for one piece; empty if there is nothing to say."""

    def tail(self) -> bytes:
        """Events after the last piece."""

    def document(self, deltas: Sequence[Delta]) -> bytes:
        """The whole answer."""


class Answer:
    """An ASGI application that answers one request.

    `failure` says an error in the midst of a stream, `unheld` what of its schemas the answer may break.
    """

    def __init__(
        self,
        triton: TritonClient,
        in_flight: InFlight,
        request: CompletionRequest,
        form: Form,
        record: Record,
        failure: Callable[[ApplianceError], bytes],
        unheld: Unheld | None = None,
    ) -> None:
        self._triton = triton
        self._in_flight = in_flight
        self._request = request
        self._form = form
        self._record = record
        self._failure = failure
        self._unheld = unheld or Unheld()

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; errors before the first byte of the answer are raised, later ones become its last event."""
        with contextlib.ExitStack() as stack:
            with refunded(self._request.visit):
                exchange = stack.enter_context(self._in_flight.admit())
            watcher = asyncio.create_task(watch_client(receive, exchange))
            try:
                stream = exchange.attach(self._triton.open(self._request))
                if self._request.stream:
                    await self._stream(stream, Writer(exchange, send))
                else:
                    await self._whole(stream, Writer(exchange, send))
            except asyncio.CancelledError:
                if exchange.reason is None:
                    raise
                # The write hung. The kernel's own limit (see listeners) closes the socket without flushing it.
                self._record.fields["error"] = type(exchange.reason).__name__
            finally:
                watcher.cancel()
                self._note_usage()

    async def _stream(self, stream: DeltaStream, writer: Writer) -> None:
        # The first piece comes before the status, so that a refusal by the engine still has a status of its own.
        delta = await stream.read()
        self._record.first_token()
        await writer.start([*_EVENT_STREAM, *listed(UNHELD, self._unheld.places)])
        try:
            head = self._form.head()
            while delta is not None:
                if events := head + self._form.events(delta):
                    await writer.write(events)
                head = b""
                delta = await stream.read()
            await writer.write(self._form.tail(), more=False)
        except ApplianceError as error:
            self._record.fields["error"] = type(error).__name__
            if not isinstance(error, ClientGoneError):
                await writer.write(self._failure(error), more=False)

    async def _whole(self, stream: DeltaStream, writer: Writer) -> None:
        deltas: list[Delta] = []
        while (delta := await stream.read()) is not None:
            self._record.first_token()
            deltas.append(delta)
        document = self._form.document(deltas)
        of_schemas = [*listed(UNHELD, self._unheld.places), *listed(BROKEN, self._unheld.broken)]
        await writer.start([*_DOCUMENT, *of_schemas, (b"content-length", b"%d" % len(document))])
        await writer.write(document, more=False)

    def _note_usage(self) -> None:
        self._record.fields |= {"prompt_tokens": len(self._request.prompt_ids), "stream": self._request.stream}
        if self._unheld.broken:
            # Their names are a client's own.
            self._record.fields["schema_broken"] = len(self._unheld.broken)
        if self._form.usage.prompt_tokens:
            self._record.used(self._form.usage)


async def watch_client(receive: Receive, exchange: Exchange) -> None:
    """Interrupt the exchange when the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.interrupt(ClientGoneError("the client hung up"))


class Writer:
    """Writes to the client, and lets the exchange see how long it waits for it."""

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self._clock = asyncio.get_running_loop().time

    async def start(self, headers: list[tuple[bytes, bytes]], status: int = 200) -> None:
        """Send the answer's head."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes, *, more: bool = True) -> None:
        """Send a piece of its body, the last one without `more`."""
        self._exchange.writing_since = self._clock()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._exchange.writing_since = None
