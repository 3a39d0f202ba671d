"""The outermost layer of the HTTP side: a request id and a log line for each request, an answer for each failure."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.errors import ApplianceError, EngineError, RequestError
from appliance.gateway.access_log import Record, log, request_id
from appliance.gateway.http.error_shape import ErrorShape
from appliance.gateway.refusals import ClientGoneError, UnknownMethodError, UnknownPathError
from appliance.gateway.services import Services

_RECORD = "appliance.record"
_SHAPES = "appliance.error_shapes"
# Asked every few seconds by whatever watches the box; lines about them would drown the others.
_QUIET = ("/health/live", "/health/ready")
# What a client wrote is neither logged nor counted: a path or method of its own making is this.
_OTHER = "other"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class HttpRim:
    """Wraps an ASGI application."""

    def __init__(
        self, app: ASGIApp, routes: Sequence[BaseRoute], services: Services, shapes: Sequence[ErrorShape]
    ) -> None:
        """Take what it is around.

        Args:
            app: the application.
            routes: its routes, whose paths stand for those that clients ask for.
            services: counts the requests.
            shapes: of errors; the first that is meant for a request is its, and the last is meant for all.
        """
        self._app = app
        self._paths = {route.endpoint: route.path for route in routes if isinstance(route, Route)}
        self._services = services
        self._shapes = shapes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; one of its bugs costs one request a 500, never the process."""
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), None)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        record = self._services.record(request_id(given), method=method, path=_OTHER)
        scope[_RECORD] = record
        scope[_SHAPES] = self._shapes
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = record.request_id.encode()
                # OpenAI's name of it, and Anthropic's.
                message["headers"] = [*message["headers"], (b"x-request-id", own), (b"request-id", own)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:  # noqa: BLE001  the process boundary
            log.exception("bug", extra={"fields": {"request_id": record.request_id}})
        finally:
            # The router leaves it in the scope.
            record.fields["path"] = self._paths.get(scope["endpoint"], _OTHER) if "endpoint" in scope else _OTHER
            if scope["path"] not in _QUIET:
                record.close(status=status)


def record_of(request: Request) -> Record:
    """The record that the rim opened for this request."""
    record: Record = request.scope[_RECORD]
    return record


def on_failure(request: Request, error: Exception) -> Response:
    """Starlette's handler for our errors and for bugs; the latter go on to the rim, which logs them."""
    failure = error if isinstance(error, ApplianceError) else EngineError("the gateway failed; its log has the reason")
    record = record_of(request)
    record.fields["error"] = type(failure).__name__
    shapes: Sequence[ErrorShape] = request.scope[_SHAPES]
    shape = next(shape for shape in shapes if shape.is_meant(request))
    return shape.response(failure, record.request_id)


def on_client_gone(request: Request, error: Exception) -> Response:
    """Starlette's handler for a client that hangs up while it sends its body."""
    return on_failure(request, ClientGoneError(f"the client hung up ({type(error).__name__})"))


def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's handler for its router's own refusals."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
    if status == HTTPStatus.NOT_FOUND:
        return on_failure(request, UnknownPathError("this path does not exist", hint="see docs/api.md"))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response = on_failure(request, UnknownMethodError(f"this path does not support {request.method}"))
        allowed = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
        response.headers["allow"] = allowed
        return response
    return on_failure(request, RequestError("the request is not valid HTTP"))


HANDLERS = {
    Exception: on_failure,
    ApplianceError: on_failure,
    HTTPException: on_http_exception,
    ClientDisconnect: on_client_gone,
}
