"""Carries one generate call to Triton and its answer back, as it comes. A client that goes away ends it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from appliance.errors import ApplianceError, EngineError, RequestError
from appliance.gateway.access_log import Record
from appliance.gateway.http.answer import Writer, watch_client
from appliance.gateway.http.json_text import encode
from appliance.gateway.refusals import ClientGoneError
from appliance.gateway.services import Services
from appliance.gateway.triton.passed_call import PassedCall
from appliance.gateway.triton_http.failure import failure_event
from appliance.gateway.triton_http.generate_answer import answer_fields

_EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]


@dataclass(frozen=True)
class Relay:
    """An ASGI application that answers one request.

    Attributes:
        services: what the front ends share.
        model: the model's name.
        message: the ModelInferRequest.
        streams: whether each piece of the answer becomes an event.
        record: the request's log line.
    """

    services: Services
    model: str
    message: bytes
    streams: bool
    record: Record

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; errors before the first byte of the answer are raised, later ones become its last event."""
        with contextlib.ExitStack() as stack:
            exchange = stack.enter_context(self.services.in_flight.admit())
            stack.enter_context(self.services.traffic.under_way(self.model))
            watcher = asyncio.create_task(watch_client(receive, exchange))
            try:
                opened = self.services.triton.stream(
                    self.message, self.services.settings.timeout_s, opened_for=self.model
                )
                call = exchange.attach(PassedCall(opened))
                answer = self._stream if self.streams else self._whole
                await answer(call, Writer(exchange, send))
            except asyncio.CancelledError:
                if exchange.reason is None:
                    raise
                # The write hung. The kernel's own limit (see listeners) closes the socket without flushing it.
                self.record.fields["error"] = type(exchange.reason).__name__
            finally:
                watcher.cancel()

    async def _stream(self, call: PassedCall, writer: Writer) -> None:
        piece = await self._next(call)
        await writer.start(_EVENT_STREAM)
        try:
            while piece is not None:
                await writer.write(f"data: {encode(piece)}\n\n".encode())
                piece = await self._next(call)
            await writer.write(b"", more=False)
        except ApplianceError as error:
            self.record.fields["error"] = type(error).__name__
            if not isinstance(error, ClientGoneError):
                await writer.write(failure_event(error), more=False)

    async def _whole(self, call: PassedCall, writer: Writer) -> None:
        answer = await self._next(call)
        if answer is None:
            raise EngineError("the engine ended the answer without a reason")
        if await self._next(call) is not None:
            raise RequestError("generate supports only one response, but stream is true", hint="use generate_stream")
        document = encode(answer).encode()
        await writer.start([(b"content-type", b"application/json"), (b"content-length", b"%d" % len(document))])
        await writer.write(document, more=False)

    async def _next(self, call: PassedCall) -> dict[str, Any] | None:
        """The next piece, or None after the last."""
        while (message := await call.read()) is not None:
            if (fields := answer_fields(message)) is not None:
                self.record.first_token()
                return fields
        return None
