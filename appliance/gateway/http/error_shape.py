"""How an error is answered over HTTP: its headers are the same for all clients, its body has the shape of their API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome, retry_after_s


@dataclass(frozen=True)
class ErrorShape:
    """The shape of one API.

    Attributes:
        is_meant: whether a request is one of this API.
        response: makes the answer of an error and the request's id.
    """

    is_meant: Callable[[Request], bool]
    response: Callable[[ApplianceError, str], Response]


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
