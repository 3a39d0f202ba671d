"""Errors in Ollama's format: `{"error": "…"}`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome
from appliance.gateway.http.error_shape import ErrorShape, failure_headers
from appliance.gateway.http.json_text import encode

PATH = "/api"


def _is_ollama(request: Request) -> bool:
    """Whether the request is of Ollama's API."""
    path = request.url.path
    return path == PATH or path.startswith(f"{PATH}/")


def failure_line(error: ApplianceError) -> bytes:
    """The error as the last line of a stream whose status was already sent."""
    return f"{encode({'error': str(error)})}\n".encode()


def _failure_response(error: ApplianceError, _request_id: str) -> Response:
    """The error as an HTTP answer."""
    content = encode({"error": str(error)})
    return Response(content, outcome(error).http, failure_headers(error), media_type="application/json")


SHAPE = ErrorShape(_is_ollama, _failure_response)
