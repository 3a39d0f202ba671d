"""Errors in the format of Triton's HTTP API: `{"error": "…"}` (KServe v2, Triton's extensions)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome
from appliance.gateway.http.error_shape import ErrorShape, failure_headers
from appliance.gateway.http.json_text import encode

PATH = "/v2"


def _is_triton(request: Request) -> bool:
    """Whether the request belongs to Triton's HTTP API."""
    path = request.url.path
    return path == PATH or path.startswith(f"{PATH}/")


def _failure_response(error: ApplianceError, _request_id: str) -> Response:
    """The error as an HTTP answer."""
    content = encode({"error": str(error)})
    return Response(content, outcome(error).http, failure_headers(error), media_type="application/json")


def failure_event(error: ApplianceError) -> bytes:
    """The error as the last event of a stream whose status was already sent."""
    return f"data: {encode({'error': str(error)})}\n\n".encode()


SHAPE = ErrorShape(_is_triton, _failure_response)
