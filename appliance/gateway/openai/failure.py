"""Errors in OpenAI's format."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome, param
from appliance.gateway.http.error_shape import ErrorShape, failure_headers
from appliance.gateway.http.json_text import encode


def failure_fields(error: ApplianceError) -> dict[str, Any]:
    """The body of an error answer."""
    row = outcome(error)
    fields = {"message": str(error), "type": row.kind, "param": param(error) or None, "code": row.code or None}
    return {"error": fields}


def failure_response(error: ApplianceError, _request_id: str) -> Response:
    """The error as an HTTP answer."""
    content = encode(failure_fields(error))
    return Response(content, outcome(error).http, failure_headers(error), media_type="application/json")


def failure_event(error: ApplianceError) -> bytes:
    """The error as the last event of a stream whose status was already sent. No [DONE] follows, because it failed."""
    return f"data: {encode(failure_fields(error))}\n\n".encode()


# The default format: it matches all requests that belong to no other API.
SHAPE = ErrorShape(lambda _request: True, failure_response)
