"""How an error is answered over HTTP: the headers are the same for all APIs, the body has the API's format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome, retry_after_s
from appliance.gateway.http.content_coding import READABLE
from appliance.gateway.refusals import BodyCodingError


@dataclass(frozen=True)
class ErrorShape:
    """The error format of one API.

    Attributes:
        is_meant: whether a request belongs to this API.
        response: creates the answer from an error and the request's id.
    """

    is_meant: Callable[[Request], bool]
    response: Callable[[ApplianceError, str], Response]


def failure_headers(error: ApplianceError) -> dict[str, str]:
    """The headers of every error answer, independent of the API."""
    headers = {}
    if (wait_s := retry_after_s(error)) is not None:
        headers["retry-after"] = str(wait_s)
    if outcome(error).closes:
        headers["connection"] = "close"
    if outcome(error).http == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, BodyCodingError):
        # RFC 9110, section 12.5.3: in a response, it names the codings of request bodies.
        headers["accept-encoding"] = READABLE
    return headers
