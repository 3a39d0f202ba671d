"""Access control for gRPC: an interceptor, so that it also covers services that are added later."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from appliance.auth.principal import Principal
from appliance.auth.scope import Scope
from appliance.errors import ApplianceError, RequestError
from appliance.gateway.access.client_address import ClientAddress
from appliance.gateway.access.credentials import key_in, names_in_auth_context
from appliance.gateway.access.door import Door
from appliance.gateway.access.endpoints import method_scopes
from appliance.gateway.access.reading import Reading
from appliance.gateway.access.request_quota import RequestQuota
from appliance.gateway.access_log import Record, request_id
from appliance.gateway.rpc.client import client_field
from appliance.gateway.rpc.failure import status_of, text_of, trailers


def identify(door: Door, context: Any) -> Principal:
    """Return the principal of a call.

    Raises:
        UnauthenticatedError, UnavailableError: see `Door.identify`.
    """
    metadata = context.invocation_metadata() or ()
    return door.identify(key_in(metadata), names_in_auth_context(context.auth_context()))


class GrpcDoor(grpc.aio.ServerInterceptor):
    """Wraps the handler of every method. For methods that are open to all, only the memory limits apply."""

    def __init__(
        self,
        door: Door,
        begin: Callable[..., Record],
        reading: Reading,
        clients: ClientAddress,
        *,
        open_health: bool = False,
    ) -> None:
        """Create the interceptor.

        Args:
            door: the access control.
            begin: creates the record of a rejected request.
            reading: receives messages.
            clients: finds the addresses of clients.
            open_health: whether KServe's health calls are open to all.
        """
        self._open_health = open_health
        self._clients = clients
        self._door = door
        self._begin = begin
        self._reading = reading

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: Any,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler, wrapped in access control."""
        handler = await continuation(handler_call_details)
        scopes = method_scopes(handler_call_details.method, open_health=self._open_health)
        if handler is None:
            return None
        service = handler_call_details.method.removeprefix("/").partition("/")[0]
        guarded = _Guarded(handler, self._door, scopes, self._begin, service, self._reading, self._clients)
        if scopes is None or self._door.takes_certificates:
            # The client's certificate is only available during the call.
            return guarded.handler()
        try:
            self._door.identify(key_in(handler_call_details.invocation_metadata or ()))
        except ApplianceError as error:
            return guarded.refusal(error)
        return guarded.handler()


@dataclass
class _Entry:
    """The principal of a call; None before authentication."""

    principal: Principal | None = None


class _Guarded:
    """One method behind access control; a method without scopes is open to all."""

    def __init__(
        self,
        handler: Any,
        door: Door,
        scopes: frozenset[Scope] | None,
        begin: Callable[..., Record],
        service: str,
        reading: Reading,
        clients: ClientAddress,
    ) -> None:
        self._handler = handler
        self._clients = clients
        self._door = door
        self._scopes = scopes
        self._begin = begin
        self._service = service
        self._reading = reading

    def handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that runs access control before the method.

        To gRPC, every such handler takes a stream of requests. Otherwise gRPC would receive a message before access
        control runs.
        """
        inner = self._handler
        behaviour = next(
            found for found in (inner.unary_unary, inner.unary_stream, inner.stream_unary, inner.stream_stream) if found
        )
        make = (
            grpc.stream_stream_rpc_method_handler if inner.response_streaming else grpc.stream_unary_rpc_method_handler
        )
        return make(
            self._streaming(behaviour) if inspect.isasyncgenfunction(behaviour) else self._plain(behaviour),
            request_deserializer=inner.request_deserializer if inner.request_streaming else None,
            response_serializer=inner.response_serializer,
        )

    def refusal(self, error: ApplianceError) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that ends the call with the error. It is a stream, so it does not wait for the client's message."""

        async def run(_requests: Any, context: Any) -> None:
            await self._refuse(error, context, None)

        return grpc.stream_stream_rpc_method_handler(run)

    def _plain(self, behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def run(requests: Any, context: Any) -> Any:
            entry = _Entry()
            try:
                async with self._entered(entry, requests, context) as request:
                    return await behaviour(request, context)
            except ApplianceError as error:
                await self._refuse(error, context, entry.principal)

        return run

    def _streaming(self, behaviour: Callable[[Any, Any], AsyncIterator[Any]]) -> Callable[[Any, Any], Any]:
        async def run(requests: Any, context: Any) -> AsyncIterator[Any]:
            entry = _Entry()
            try:
                async with self._entered(entry, requests, context) as request:
                    async for response in behaviour(request, context):
                        yield response
            except ApplianceError as error:
                await self._refuse(error, context, entry.principal)

        return run

    @contextlib.asynccontextmanager
    async def _entered(self, entry: _Entry, requests: Any, context: Any) -> AsyncIterator[Any]:
        """Admit the call while the block runs, and yield the argument of the inner handler."""
        if self._scopes is None:
            yield await self._request(requests, context, None)
            return
        entry.principal = identify(self._door, context)
        with contextlib.ExitStack() as stack:
            quota = stack.enter_context(self._door.admitting(entry.principal, self._scopes))
            if self._handler.request_streaming:
                stack.enter_context(quota.streaming())
            yield await self._request(requests, context, quota)

    async def _request(self, requests: Any, context: Any, quota: RequestQuota | None) -> Any:
        inner = self._handler
        if inner.request_streaming:
            return requests
        message = await self._reading.message(quota.principal.name if quota else "", context)
        if quota is not None:
            quota.hold(len(message))
        if inner.request_deserializer is None:
            return message
        try:
            return inner.request_deserializer(message)
        except DecodeError as error:
            raise RequestError("the message does not match this method") from error

    async def _refuse(self, error: ApplianceError, context: Any, principal: Principal | None) -> None:
        metadata = dict(context.invocation_metadata() or ())
        # Method names from clients are neither logged nor counted; the service is one of ours.
        record = self._begin(request_id(metadata.get("x-request-id")), method="grpc", path=self._service)
        record.fields |= client_field(self._clients, context)
        if principal is not None:
            record.fields["principal"] = principal.name
        status = status_of(error)
        record.close(status=status.name, error=type(error).__name__)
        await context.abort(status, text_of(error), trailers(error, record.request_id))
