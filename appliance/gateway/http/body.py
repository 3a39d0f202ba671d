"""Reads a request's body within limits of size, memory and time."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from appliance.gateway.access.request_quota import current
from appliance.gateway.http.body_size import check_size
from appliance.gateway.refusals import BodyTimeoutError, BodyTooLargeError, BodyTypeError
from appliance.gateway.services import Services
from appliance.within import within


async def body_for_model(request: Request, services: Services) -> bytes:
    """Return the body of a request that a model is to answer.

    There must be room for it first of all: a request that is refused for want of room should cost nothing.

    Raises:
        ApplianceError: there is no room; or as `read_body`.
    """
    with services.in_flight.receiving():
        return await body_for_gateway(request, services)


async def body_for_gateway(request: Request, services: Services) -> bytes:
    """Return the body of a request that the gateway answers itself; raises as `read_body` does."""
    settings = services.settings
    return await read_body(request, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)


async def read_body(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """Return the whole body.

    Only `application/json` is taken: browsers send other types to any address without asking it first, so a page could
    otherwise use a box on its visitor's machine.

    Raises:
        BodyTypeError: it is declared as something else.
        BodyTooLargeError: it has more than `max_bytes`.
        LimitError: there is no room in memory for it beside the other requests' bodies.
        RequestError: there is more in it than is parsed.
        BodyTimeoutError: it did not arrive within `timeout_s` seconds.
        starlette.requests.ClientDisconnect: the client hung up.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BodyTypeError("the content type must be application/json", hint="add 'Content-Type: application/json'")
    declared = request.headers.get("content-length", "")
    if declared.isdigit():
        if int(declared) > max_bytes:
            raise BodyTooLargeError(f"the body is larger than {max_bytes} bytes")
        # Only what has come is counted: others do not wait for bytes that may never come.
        current().check_room(int(declared))
    try:
        content = await within(timeout_s, _collect(request, max_bytes))
    except asyncio.TimeoutError as error:
        raise BodyTimeoutError(f"the body did not arrive within {timeout_s:g} seconds") from error
    await check_size(content)
    return content


async def _collect(request: Request, max_bytes: int) -> bytes:
    content = bytearray()
    quota = current()
    async for piece in request.stream():
        content += piece
        if len(content) > max_bytes:
            raise BodyTooLargeError(f"the body is larger than {max_bytes} bytes")
        quota.hold(len(piece))
    return bytes(content)
