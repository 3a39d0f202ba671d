"""Carries one generate call to Triton and its answer back, as it comes. A client that goes away ends it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.types import Receive, Scope, Send

from appliance.errors import ApplianceError
from appliance.gateway.access_log import Record
from appliance.gateway.desk import Desk
from appliance.gateway.openai.answer import Writer, watch_client
from appliance.gateway.refusals import ClientGoneError
from appliance.gateway.triton_http.failure import failure_event
from appliance.gateway.triton_http.http_call import HttpCall
from appliance.triton import sockets


@dataclass(frozen=True)
class Relay:
    """An ASGI application that answers one request.

    Attributes:
        desk: what the front ends share.
        model: the model's name.
        path: where Triton is asked.
        body: with what.
        record: the request's log line.
    """

    desk: Desk
    model: str
    path: str
    body: bytes
    record: Record

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; errors before the first byte of the answer are raised, later ones become its last event."""
        async with contextlib.AsyncExitStack() as stack:
            exchange = stack.enter_context(self.desk.in_flight.admit())
            stack.enter_context(self.desk.traffic.under_way(self.model))
            watcher = asyncio.create_task(watch_client(receive, exchange))
            try:
                opened = HttpCall.open(self._socket, self.desk.settings.timeout_s)
                call = exchange.attach(await stack.enter_async_context(opened))
                await call.send(self.path, self.body)
                await call.head()
                self.record.first_token()
                await self._carry(call, Writer(exchange, send))
            except asyncio.CancelledError:
                if exchange.reason is None:
                    raise
                # The write hung. The kernel's own limit (see listeners) closes the socket without flushing it.
                self.record.fields["error"] = type(exchange.reason).__name__
            finally:
                watcher.cancel()

    @property
    def _socket(self) -> Path:
        return self.desk.settings.triton / sockets.HTTP

    async def _carry(self, call: HttpCall, writer: Writer) -> None:
        if call.status != HTTPStatus.OK:
            self.record.fields["error"] = "PassedOnError"
        headers = [(b"content-type", call.content_type.encode("latin-1")), (b"cache-control", b"no-store")]
        await writer.start(headers, call.status)
        try:
            async for piece in call.pieces():
                await writer.write(piece)
            await writer.write(b"", more=False)
        except ApplianceError as error:
            self.record.fields["error"] = type(error).__name__
            if not isinstance(error, ClientGoneError):
                await writer.write(failure_event(error), more=False)
