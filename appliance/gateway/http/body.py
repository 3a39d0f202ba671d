"""Reads a request's body within limits of size, memory and time."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from appliance.gateway.access.request_quota import current
from appliance.gateway.http.body_size import check_size
from appliance.gateway.http.content_coding import Decoder, decoder
from appliance.gateway.refusals import BodyTimeoutError, BodyTooLargeError, BodyTypeError
from appliance.gateway.services import Services
from appliance.within import within

_BODY = "appliance.body"


async def body_for_model(request: Request, services: Services) -> bytes:
    """Return the body of a request for a model.

    The number of running requests is checked first, so that a request that is rejected for overload costs almost
    nothing.

    Raises:
        ApplianceError: there are too many running requests; or as `read_body`.
    """
    with services.in_flight.receiving():
        return await body_for_gateway(request, services)


async def body_for_gateway(request: Request, services: Services) -> bytes:
    """Return the body of a request that the gateway answers itself; raises as `read_body` does."""
    settings = services.settings
    kept: bytes | None = request.scope.get(_BODY)
    if kept is None:
        kept = await read_body(request, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
        # The client sends it once, but another model of a route may have to answer.
        request.scope[_BODY] = kept
    return kept


async def read_body(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """Return the whole body.

    The only accepted type is `application/json`: browsers send other types to any address without a preflight request,
    so a web page could use a box on its visitor's machine.

    Raises:
        BodyTypeError: the request declares another content type.
        BodyCodingError: the request declares a content coding other than gzip.
        BodyTooLargeError: the body has more than `max_bytes`, compressed or not.
        LimitError: the bodies of concurrent requests leave no memory for this body.
        RequestError: the body contains more values than are parsed.
        BodyTimeoutError: the body did not arrive within `timeout_s` seconds.
        starlette.requests.ClientDisconnect: the client disconnected.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BodyTypeError("the content type must be application/json", hint="add 'Content-Type: application/json'")
    decoding = decoder(request.headers.get("content-encoding", ""))
    declared = request.headers.get("content-length", "")
    if declared.isdigit():
        if int(declared) > max_bytes:
            raise BodyTooLargeError(f"the body is larger than {max_bytes} bytes")
        # Only received bytes are counted, so that other requests do not wait for bytes that may never arrive.
        current().check_room(int(declared))
    try:
        content = await within(timeout_s, _collect(request, decoding, max_bytes))
    except asyncio.TimeoutError as error:
        raise BodyTimeoutError(f"the body did not arrive within {timeout_s:g} seconds") from error
    await check_size(content)
    return content


async def _collect(request: Request, decoding: Decoder, max_bytes: int) -> bytes:
    content = bytearray()
    received = 0
    quota = current()
    async for piece in request.stream():
        received += len(piece)
        for decoded in decoding.decode(piece):
            content += decoded
            if max(received, len(content)) > max_bytes:
                raise BodyTooLargeError(f"the body is larger than {max_bytes} bytes")
            quota.hold(len(decoded))
            # A compressed piece has many decoded ones; other streams continue between them.
            await asyncio.sleep(0)
    decoding.end()
    return bytes(content)
