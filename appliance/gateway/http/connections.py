"""HTTP connections: cuts those that dawdle, and makes room for new ones by closing the one that has been idle longest.

It answers nothing. Bodies and unread answers have limits of their own (http_body.py, in_flight.py).
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from appliance.gateway.access.credentials import names_in_peercert
from appliance.gateway.http.door import NAMES
from appliance.gateway.http.framing import Framing

# What comes before a body; a connection without a key can make us hold so much.
MAX_HEAD_BYTES = 16 << 10
# Of an answer; more is not taken from the model until the client reads.
_UNSENT_BYTES = 64 << 10
# Descriptors for all that is no HTTP connection: gRPC's, Triton's, files.
_OTHER_DESCRIPTORS = 256
_DEFAULT_CONNECTIONS = 16384


def connection_limit(wanted: int | None) -> int:
    """Raise this process's limit of descriptors as far as it may, and return how many connections fit into it.

    A server that runs out of descriptors can accept nobody, so the limit on connections has to come first.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted or _DEFAULT_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted + _OTHER_DESCRIPTORS:
        most = wanted + _OTHER_DESCRIPTORS
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, max(1, soft - _OTHER_DESCRIPTORS))


class ConnectionLimit:
    """How many connections there may be, and which of them wait for a request, longest first.

    Attributes:
        idle: connections between two requests, in the order in which they became so.
        open: how many there are in all.
    """

    def __init__(self, max_connections: int, header_timeout_s: float) -> None:
        self.idle: dict[Connection, None] = {}
        self.open = 0
        self.header_timeout_s = header_timeout_s
        self._max_connections = max_connections

    def enter(self) -> bool:
        """Count a new connection. Over the limit, the one idle longest goes; return False if all are busy."""
        self.open += 1
        if self.open <= self._max_connections:
            return True
        if self.idle:
            next(iter(self.idle)).cut()
            return True
        return False


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 with a limit on the time that a request's head takes, and with strict framing.

    uvicorn itself limits the idle time between requests, but a client that sends a byte now and then, or nothing at all
    after it connected, would stay for ever.
    """

    def __init__(self, *, limit: ConnectionLimit, app_state: dict[str, Any], **rest: Any) -> None:
        # A copy: it goes into each request's scope, and is this connection's alone.
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
            # The first bytes of a head, or the rest of a body that nobody reads.
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, and end the connection: nobody can tell where the next request begins."""
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
        """End the connection at once."""
        self._note_busy()
        self.transport.abort()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        # The first byte starts the time; later ones do not prolong it.
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._limit.header_timeout_s, self.cut)

    def _note_idle(self) -> None:
        self._limit.idle[self] = None

    def _note_busy(self) -> None:
        self._limit.idle.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
