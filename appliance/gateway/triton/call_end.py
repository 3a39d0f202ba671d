"""Why a call to Triton ended, as one of our errors; and how a stream is let end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from appliance.errors import ApplianceError, DeadlineError, UnavailableError
from appliance.gateway.triton import tensors

# What grpc.aio says of a message that it could not write, in place of the status that the call had ended with.
_UNWRITTEN = "Internal error from Core"


async def read_to_end(call: Any) -> None:
    """Let a stream end by itself after an error, which is its last response.

    Triton (2.51) never lets go of a stream that is cancelled between such a response and its end, and then waits for it
    when it is to stop.
    """
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass


def true_code(call: Any, error: Any) -> grpc.StatusCode:
    """Return why a call ended, also where a message could not be written because it had ended."""
    code: grpc.StatusCode = error.code()
    if code is grpc.StatusCode.INTERNAL and error.details() == _UNWRITTEN:
        is_late = call.time_remaining() == 0
        return grpc.StatusCode.DEADLINE_EXCEEDED if is_late else grpc.StatusCode.UNAVAILABLE
    return code


def rpc_error(call: Any, error: Any) -> ApplianceError:
    """Return the error that a call to Triton ended with, from what grpc.aio raised."""
    return status_error(true_code(call, error), error.details() or "")


def status_error(code: grpc.StatusCode, details: str) -> ApplianceError:
    """Return the error that a call to Triton ended with."""
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        return UnavailableError("the model server is not reachable", hint="it is restarted when it crashes; try again")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError("the request's deadline passed")
    return tensors.error(details)
