"""Opens and closes the HTTP and gRPC listeners. It answers no requests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import grpc.aio
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from starlette.types import ASGIApp

from appliance.address import Address
from appliance.errors import PortTakenError, UsageError
from appliance.gateway.inference_v1.service import SERVICE, InferenceService
from appliance.gateway.kserve.service import KServeService
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import add_InferenceServiceServicer_to_server
from appliance.gateway.settings import Settings
from appliance.gateway.tls import grpc_credentials
from appliance.gateway.triton import methods as kserve

_BACKLOG = 1024
# gRPC calls in addition to the running requests: health checks, reflection, rejected calls.
_OTHER_CALLS = 256
MAX_WATCHERS = 64
_MIN_CLIENT_PING_MS = 1000
# How much of an unread answer the kernel may hold; the kernel doubles the value for its own use.
_SEND_BUFFER_BYTES = 128 << 10
_HEALTH_NAMES = ("", SERVICE, kserve.SERVICE)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers: the gateway drains all listeners together."""

    def __init__(self, config: uvicorn.Config, handshake_timeout_s: float | None) -> None:
        super().__init__(config)
        self._handshake_timeout_s = handshake_timeout_s

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, with a time limit for the TLS handshake, which uvicorn cannot configure."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            make: Any = self.config.http_protocol_class
            return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[no-any-return]

        self.servers = [
            await loop.create_server(
                connection,
                sock=one,
                ssl=self.config.ssl,
                ssl_handshake_timeout=self._handshake_timeout_s if self.config.ssl else None,
                backlog=self.config.backlog,
            )
            for one in sockets or ()
        ]
        self.started = True


class HttpListener:
    """An HTTP server on a socket that is already bound."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        connection: Callable[..., asyncio.Protocol],
        *,
        tls: ssl.SSLContext | None = None,
        idle_timeout_s: float = 30.0,
        handshake_timeout_s: float | None = None,
    ) -> None:
        """Configure the server.

        Args:
            app: the application.
            listener: see `bind`.
            connection: creates the protocol of one connection, with uvicorn's arguments.
            tls: None: no TLS.
            idle_timeout_s: maximum seconds between two requests.
            handshake_timeout_s: maximum seconds for the TLS handshake.
        """
        self._socket = listener
        config = uvicorn.Config(
            app,
            http=connection,  # type: ignore[arg-type]  # a class or whatever makes one
            log_config=None,
            # `HttpRim` logs requests and bugs; uvicorn's other messages are about connections that we close on purpose.
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=idle_timeout_s,  # type: ignore[arg-type]  # it is only ever added to a time
            backlog=_BACKLOG,
        )
        config.load()
        config.ssl = tls
        self._server = _Uvicorn(config, handshake_timeout_s)
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> Address:
        """The address of a TCP listener."""
        host, port = self._socket.getsockname()[:2]
        return Address(host, port)

    async def start(self) -> None:
        """Start accepting connections."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    def stop_accepting(self) -> None:
        """Close the listening socket and idle connections; running answers continue."""
        self._server.should_exit = True

    async def close(self, limit_s: float) -> None:
        """Wait at most `limit_s` seconds for the connections to end, then close them."""
        self.stop_accepting()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=limit_s)
            if not done:
                self._server.force_exit = True
                await self._task


class _Health(health.aio.HealthServicer):  # type: ignore[misc]  # the library has no types
    """The standard health service, open to all. It accepts only existing names and a limited number of watchers.

    The library keeps every requested name, and keeps each watcher until it disconnects.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watchers = 0

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802  the schema's name
        """See the protocol; an unknown name is an immediate error."""
        if request.service not in _HEALTH_NAMES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        if self._watchers >= MAX_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_WATCHERS} watch already; use Check")
        self._watchers += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watchers -= 1


class GrpcListener:
    """The gRPC server, with health checks and reflection."""

    def __init__(
        self,
        service: InferenceService,
        passed_on: KServeService,
        address: Address,
        settings: Settings,
        interceptors: Sequence[grpc.aio.ServerInterceptor],
    ) -> None:
        """Bind the address.

        Raises:
            PortTakenError: another process listens on the address.
            UsageError: the certificate cannot be used.
        """
        options = [
            ("grpc.so_reuseport", 0),
            # With windows that grow with the throughput, a client could send many MB before the gateway reads them.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.max_receive_message_length", settings.max_body_bytes),
            ("grpc.server_handshake_timeout_ms", int(settings.header_timeout_s * 1000)),
            ("grpc.max_connection_idle_ms", int(settings.idle_timeout_s * 1000)),
            # While a call waits, proxies see that the connection is alive, and clients may check it: by default gRPC
            # ends the connection of a client that sends pings more often than every five minutes.
            ("grpc.keepalive_time_ms", int(settings.stream_ping_s * 1000)),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", _MIN_CLIENT_PING_MS),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
        self._server = grpc.aio.server(
            options=options,
            interceptors=list(interceptors),
            maximum_concurrent_rpcs=settings.max_requests + _OTHER_CALLS,
        )
        self._health = _Health()
        add_InferenceServiceServicer_to_server(service, self._server)  # type: ignore[no-untyped-call]
        self._server.add_generic_rpc_handlers((passed_on,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, kserve.SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        tls = settings.policy.tls
        try:
            if tls is None:
                port = self._server.add_insecure_port(str(address))
            else:
                port = self._server.add_secure_port(str(address), grpc_credentials(tls))
        except RuntimeError as error:
            raise _taken(address) from error
        self.address = Address(address.host, port)

    async def start(self) -> None:
        """Start accepting calls; health checks report NOT_SERVING."""
        await self.set_serving(serving=False)
        await self._server.start()

    async def set_serving(self, *, serving: bool) -> None:
        """Set the result of health checks, for the server as a whole and for both services."""
        states = health_pb2.HealthCheckResponse
        for name in _HEALTH_NAMES:
            await self._health.set(name, states.SERVING if serving else states.NOT_SERVING)

    async def close(self, limit_s: float) -> None:
        """Reject new calls, wait at most `limit_s` seconds for the running ones, then cancel them."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(limit_s)


def bind(address: Address, write_timeout_s: float) -> socket.socket:
    """Return a listening socket; connections wait in its queue until a server accepts them.

    Raises:
        PortTakenError: another process listens on the address.
        UsageError: the address does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # The protocol is explicit: asyncio disables Nagle's algorithm only for sockets whose protocol is TCP. Otherwise
    # the next piece of an answer waits 40 ms for the client's delayed acknowledgement of the earlier piece.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        # A client that stops reading would keep its connection's buffers for hours: the server can stop writing but
        # cannot discard what it wrote. Accepted sockets inherit this option; it also covers a peer with a zero window.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(write_timeout_s * 1000))
        # Otherwise the kernel increases the buffer to several MB per connection.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        listener.bind((address.host, address.port))
        # uvicorn starts listening later; until then a second process could bind the same address.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise _taken(address) from error
        raise UsageError(f"cannot listen on {address}: {error.strerror}") from error
    return listener


def _taken(address: Address) -> PortTakenError:
    return PortTakenError(f"{address} is in use", hint="stop the other program, or choose another address")
