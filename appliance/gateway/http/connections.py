"""HTTP connections: closes slow ones, and closes the connection that has been idle longest to accept a new one.

It answers no requests. Bodies and unread answers have their own limits (http/body.py, answering/in_flight.py).
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from appliance.gateway.access.credentials import names_in_peercert
from appliance.gateway.http.door import NAMES
from appliance.gateway.http.framing import Framing

# The request line and headers; a connection without a key can make us hold this much.
MAX_HEAD_BYTES = 16 << 10
# Unsent bytes of an answer; above this, no more is read from the model until the client reads.
_UNSENT_BYTES = 64 << 10
# Descriptors for everything but HTTP connections: gRPC's, Triton's, files.
_OTHER_DESCRIPTORS = 256
_DEFAULT_CONNECTIONS = 16384


def connection_limit(wanted: int | None) -> int:
    """Raise the process's limit of file descriptors if possible, and return how many connections fit into it.

    A server without free descriptors cannot accept connections, so the limit of connections must be reached first.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted or _DEFAULT_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted + _OTHER_DESCRIPTORS:
        most = wanted + _OTHER_DESCRIPTORS
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, max(1, soft - _OTHER_DESCRIPTORS))


class ConnectionLimit:
    """The number of open connections, and the idle ones, longest idle first.

    Attributes:
        idle: connections between two requests, in the order in which they became idle.
        open: the number of open connections.
    """

    def __init__(self, max_connections: int, header_timeout_s: float) -> None:
        self.idle: dict[Connection, None] = {}
        self.open = 0
        self.header_timeout_s = header_timeout_s
        self._max_connections = max_connections

    def enter(self) -> bool:
        """Count a new connection. Above the limit, close the one that is idle longest; return False if all are busy."""
        self.open += 1
        if self.open <= self._max_connections:
            return True
        if self.idle:
            next(iter(self.idle)).cut()
            return True
        return False


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 with a time limit for a request's headers, and with strict framing.

    uvicorn itself limits only the idle time between requests. A client that sends a byte now and then, or nothing after
    it connected, would stay connected forever.
    """

    def __init__(self, *, limit: ConnectionLimit, app_state: dict[str, Any], **rest: Any) -> None:
        # A copy, because it becomes part of each request's scope and belongs to this connection only.
        super().__init__(app_state=dict(app_state), **rest)
        self.conn: Framing = Framing(MAX_HEAD_BYTES)
        self._limit = limit
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_UNSENT_BYTES)
        if names := names_in_peercert(transport.get_extra_info("peercert")):
            self.app_state[NAMES] = names
        if not self._limit.enter():
            self.cut()
            return
        self._note_idle()
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        if self._is_answering:
            self._note_busy()
        else:
            # The first bytes of headers, or the rest of a body that is not read.
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        """Reject invalid HTTP and close the connection, because the start of the next request is unknown."""
        if self._is_answering and self.cycle.response_started:
            self.transport.close()
        else:
            super().send_400_response(self.conn.fault or msg)

    def on_response_complete(self) -> None:
        """See H11Protocol."""
        super().on_response_complete()
        if not self._is_answering:
            self._note_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        super().connection_lost(exc)
        self._note_busy()
        self._limit.open -= 1

    def cut(self) -> None:
        """Close the connection immediately."""
        self._note_busy()
        self.transport.abort()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        # The first byte starts the timer; later bytes do not extend it.
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._limit.header_timeout_s, self.cut)

    def _note_idle(self) -> None:
        self._limit.idle[self] = None

    def _note_busy(self) -> None:
        self._limit.idle.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
