"""Errors in Anthropic's format."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome
from appliance.gateway.http.error_shape import ErrorShape, failure_headers
from appliance.gateway.http.json_text import encode
from appliance.gateway.refusals import UnsupportedThreadError

PATH = "/v1/messages"
# Every client of Anthropic's API sends this header; no client of OpenAI's API does.
VERSION = "anthropic-version"

# Anthropic's status for an overloaded server, which differs from the status for the client's own limits.
OVERLOADED_STATUS = 529
_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    OVERLOADED_STATUS: "overloaded_error",
}
_FIRST_SERVER_STATUS = 500
# Errors to which Anthropic's clients react automatically; the codes are from their `ErrorDetails`.
_CODES: dict[type[ApplianceError], str] = {UnsupportedThreadError: "thread_unsupported_request"}


def status_of(error: ApplianceError) -> int:
    """The HTTP status: the error table's, except for an overloaded box."""
    row = outcome(error)
    return OVERLOADED_STATUS if row.code == "overloaded" else row.http


def failure_fields(error: ApplianceError, request_id: str) -> dict[str, Any]:
    """The body of an error answer."""
    status = status_of(error)
    kind = _KINDS.get(status, "invalid_request_error" if status < _FIRST_SERVER_STATUS else "api_error")
    fields: dict[str, Any] = {"type": kind, "message": str(error)}
    if code := _CODES.get(type(error)):
        fields["details"] = {"error_code": code}
    return {"type": "error", "error": fields, "request_id": request_id}


def is_anthropic(request: Request) -> bool:
    """Whether the request is of Anthropic's API: by its path, or by its header where both APIs have the path."""
    path = request.url.path
    return path == PATH or path.startswith(f"{PATH}/") or VERSION in request.headers


def _failure_response(error: ApplianceError, request_id: str) -> Response:
    """The error as an HTTP answer."""
    content = encode(failure_fields(error, request_id))
    return Response(content, status_of(error), failure_headers(error), media_type="application/json")


def failure_event(error: ApplianceError, request_id: str) -> bytes:
    """The error as the last event of a stream whose status was already sent."""
    return f"event: error\ndata: {encode(failure_fields(error, request_id))}\n\n".encode()


SHAPE = ErrorShape(is_anthropic, _failure_response)
