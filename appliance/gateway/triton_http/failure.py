"""Errors in the shape of Triton's HTTP API: `{"error": "…"}` (KServe v2, Triton's extensions)."""

from __future__ import annotations

from starlette.responses import Response

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome
from appliance.gateway.openai.failure import failure_headers
from appliance.gateway.openai.form import encode

PATH = "/v2"


def is_triton(path: str) -> bool:
    """Whether clients of Triton's HTTP API ask there."""
    return path == PATH or path.startswith(f"{PATH}/")


def failure_response(error: ApplianceError) -> Response:
    """The error as an HTTP answer."""
    content = encode({"error": str(error)})
    return Response(content, outcome(error).http, failure_headers(error), media_type="application/json")


def failure_event(error: ApplianceError) -> bytes:
    """The error as the last event of a stream whose status is long sent."""
    return f"data: {encode({'error': str(error)})}\n\n".encode()
