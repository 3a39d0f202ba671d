"""The door on the gRPC side: an interceptor, so that a service that is added later is behind it too."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from appliance.auth.principal import Principal
from appliance.auth.scope import Scope
from appliance.errors import ApplianceError
from appliance.gateway.access.credentials import key_in, names_in_auth_context
from appliance.gateway.access.door import Door
from appliance.gateway.access.endpoints import method_scopes
from appliance.gateway.access_log import Record, request_id
from appliance.gateway.grpc_failure import status_of, text_of, trailers


def identify(door: Door, context: Any) -> Principal:
    """Return who makes a call.

    Raises:
        UnauthenticatedError, UnavailableError: see `Door.identify`.
    """
    metadata = context.invocation_metadata() or ()
    return door.identify(key_in(metadata), names_in_auth_context(context.auth_context()))


class GrpcDoor(grpc.aio.ServerInterceptor):
    """Wraps the handler of every method that is not open to all."""

    def __init__(self, door: Door, begin: Callable[..., Record]) -> None:
        """Take the door, and what begins the record of a request that is not let in."""
        self._door = door
        self._begin = begin

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: Any,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler, behind the door."""
        handler = await continuation(handler_call_details)
        scopes = method_scopes(handler_call_details.method)
        if handler is None or scopes is None:
            return handler
        service = handler_call_details.method.removeprefix("/").partition("/")[0]
        guarded = _Guarded(handler, self._door, scopes, self._begin, service)
        if self._door.takes_certificates:
            # Which one the client has shown is known to the call alone.
            return guarded.handler()
        try:
            self._door.identify(key_in(handler_call_details.invocation_metadata or ()))
        except ApplianceError as error:
            return guarded.refusal(error)
        return guarded.handler()


class _Guarded:
    """One method behind the door."""

    def __init__(
        self, handler: Any, door: Door, scopes: frozenset[Scope], begin: Callable[..., Record], service: str
    ) -> None:
        self._handler = handler
        self._door = door
        self._scopes = scopes
        self._begin = begin
        self._service = service

    def handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        """The same kind of handler, with ours in front of its behaviour."""
        inner = self._handler
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[inner.request_streaming, inner.response_streaming]
        behaviour = next(
            found for found in (inner.unary_unary, inner.unary_stream, inner.stream_unary, inner.stream_stream) if found
        )
        ours = self._streaming(behaviour) if inspect.isasyncgenfunction(behaviour) else self._plain(behaviour)
        return make(
            ours, request_deserializer=inner.request_deserializer, response_serializer=inner.response_serializer
        )

    def refusal(self, error: ApplianceError) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that ends the call with the error: a stream, which does not wait for the client's message."""

        async def run(_requests: Any, context: Any) -> None:
            await self._refuse(error, context, None)

        return grpc.stream_stream_rpc_method_handler(run)

    def _plain(self, behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def run(request: Any, context: Any) -> Any:
            principal = None
            try:
                principal = identify(self._door, context)
                with self._door.visiting(principal, self._scopes):
                    return await behaviour(request, context)
            except ApplianceError as error:
                await self._refuse(error, context, principal)

        return run

    def _streaming(self, behaviour: Callable[[Any, Any], AsyncIterator[Any]]) -> Callable[[Any, Any], Any]:
        async def run(request: Any, context: Any) -> AsyncIterator[Any]:
            principal = None
            try:
                principal = identify(self._door, context)
                with self._door.visiting(principal, self._scopes):
                    async for response in behaviour(request, context):
                        yield response
            except ApplianceError as error:
                await self._refuse(error, context, principal)

        return run

    async def _refuse(self, error: ApplianceError, context: Any, principal: Principal | None) -> None:
        metadata = dict(context.invocation_metadata() or ())
        # What a client calls a method is neither logged nor counted: the service is one of ours.
        record = self._begin(request_id(metadata.get("x-request-id")), method="grpc", path=self._service)
        if principal is not None:
            record.fields["principal"] = principal.name
        status = status_of(error)
        record.close(status=status.name, error=type(error).__name__)
        await context.abort(status, text_of(error), trailers(error, record.request_id))
