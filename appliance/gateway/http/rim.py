"""The outermost layer of HTTP: gives each request an id and a log line, and answers each failure."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.errors import ApplianceError, RequestError
from appliance.gateway.access_log import Record, bug_error, report_bug, request_id
from appliance.gateway.http.error_shape import ErrorShape
from appliance.gateway.http.ignored import ignored_header
from appliance.gateway.refusals import ClientGoneError, UnknownMethodError, UnknownPathError
from appliance.gateway.services import Services

# The model that answers: a client that asks for a route or an alias cannot know it from its request.
MODEL = b"appliance-model"
_RECORD = "appliance.record"
_SHAPES = "appliance.error_shapes"
# Monitors send these requests every few seconds; their log lines would hide the others.
_QUIET = ("/health", "/health/live", "/health/ready")
# Text from clients is neither logged nor counted: unknown paths and methods get this name.
_OTHER = "other"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class HttpRim:
    """Wraps an ASGI application."""

    def __init__(
        self, app: ASGIApp, routes: Sequence[BaseRoute], services: Services, shapes: Sequence[ErrorShape]
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            routes: its routes; the log contains their paths instead of the paths that clients sent.
            services: counts the requests.
            shapes: error formats; the first that matches a request is used, and the last matches all requests.
        """
        self._app = app
        self._paths = {route.endpoint: route.path for route in routes if isinstance(route, Route)}
        self._services = services
        self._shapes = shapes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; a bug in it fails one request, never the process."""
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), None)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        record = self._services.record(request_id(given), method=method, path=_OTHER)
        if address := self._address(scope):
            record.fields["client"] = address
        scope[_RECORD] = record
        scope[_SHAPES] = self._shapes
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = record.request_id.encode()
                # OpenAI's name of the header, and Anthropic's.
                ids = [(b"x-request-id", own), (b"request-id", own)]
                model = record.fields.get("model")
                speaker = [(MODEL, model.encode())] if isinstance(model, str) else []
                message["headers"] = [*message["headers"], *ids, *speaker, *ignored_header(scope)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001  the process boundary
            report_bug(record.request_id, error)
        finally:
            # The router stores the endpoint in the scope.
            record.fields["path"] = self._paths.get(scope["endpoint"], _OTHER) if "endpoint" in scope else _OTHER
            if scope["path"] not in _QUIET:
                record.close(status=status)

    def _address(self, scope: Scope) -> str:
        forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return self._services.clients.of(scope["client"][0] if scope["client"] else "", forwarded)


def record_of(request: Request) -> Record:
    """The record that `HttpRim` created for this request."""
    record: Record = request.scope[_RECORD]
    return record


def on_failure(request: Request, error: Exception) -> Response:
    """Starlette's handler for our errors and for bugs; `HttpRim` logs the bugs."""
    failure = error if isinstance(error, ApplianceError) else bug_error()
    record = record_of(request)
    record.fields["error"] = type(failure).__name__
    shapes: Sequence[ErrorShape] = request.scope[_SHAPES]
    shape = next(shape for shape in shapes if shape.is_meant(request))
    return shape.response(failure, record.request_id)


def on_client_gone(request: Request, error: Exception) -> Response:
    """Starlette's handler for a client that disconnects while it sends its body."""
    return on_failure(request, ClientGoneError(f"the client hung up ({type(error).__name__})"))


def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's handler for errors of its own router."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
    if status == HTTPStatus.NOT_FOUND:
        return on_failure(request, UnknownPathError("this path does not exist", hint=_path_hint(request.url.path)))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"allow": allowed})
        response = on_failure(request, UnknownMethodError(f"this path does not support {request.method}"))
        response.headers["allow"] = allowed
        return response
    return on_failure(request, RequestError("the request is not valid HTTP"))


def _path_hint(path: str) -> str:
    """What to do about an unknown path; the most frequent mistakes have their own hints."""
    if path.startswith("/v1/v1/"):
        return "remove /v1 from the base URL of the client, which adds it"
    if path.startswith("/api/"):
        return "see docs/ollama.md for the part of Ollama's API that the box has"
    if path == "/v1":
        return "this is the base URL of OpenAI's API: set it in a client, or get /v1/models"
    return "see docs/api.md"


HANDLERS = {
    Exception: on_failure,
    ApplianceError: on_failure,
    HTTPException: on_http_exception,
    ClientDisconnect: on_client_gone,
}
