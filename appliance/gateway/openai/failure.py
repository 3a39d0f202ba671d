"""Errors in OpenAI's shape."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome, param, retry_after_s
from appliance.gateway.openai.form import encode


def failure_fields(error: ApplianceError) -> dict[str, Any]:
    """The body of an error answer."""
    row = outcome(error)
    fields = {"message": str(error), "type": row.kind, "param": param(error) or None, "code": row.code or None}
    return {"error": fields}


def failure_response(error: ApplianceError) -> Response:
    """The error as an HTTP answer."""
    content = encode(failure_fields(error))
    return Response(content, outcome(error).http, failure_headers(error), media_type="application/json")


def failure_headers(error: ApplianceError) -> dict[str, str]:
    """The headers that any error answer has, whatever its body's shape."""
    headers = {}
    if (wait_s := retry_after_s(error)) is not None:
        headers["retry-after"] = str(wait_s)
    if outcome(error).closes:
        headers["connection"] = "close"
    if outcome(error).http == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return headers


def failure_event(error: ApplianceError) -> bytes:
    """The error as the last event of a stream whose status is long sent. No [DONE] follows: it is not done."""
    return f"data: {encode(failure_fields(error))}\n\n".encode()
