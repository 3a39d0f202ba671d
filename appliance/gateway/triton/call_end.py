"""Converts the end of a call to Triton to one of our errors, and reads a failed stream to its end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from appliance.errors import ApplianceError, DeadlineError, UnavailableError
from appliance.gateway.triton import tensors
from appliance.gateway.triton.stream_call import StreamCall

# If a message could not be written, grpc.aio reports this text instead of the status with which the call ended.
_UNWRITTEN = "Internal error from Core"


async def read_to_end(call: StreamCall) -> None:
    """Read a stream to its end after an error, which is its last response.

    If a stream is cancelled between the error and its end, Triton (2.51) never releases it, and waits for it when
    Triton is stopped.
    """
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass


def true_code(call: Any, error: Any) -> grpc.StatusCode:
    """Return why a call ended, even if grpc.aio reports only that a message could not be written."""
    code: grpc.StatusCode = error.code()
    if code is grpc.StatusCode.INTERNAL and error.details() == _UNWRITTEN:
        is_late = call.time_remaining() == 0
        return grpc.StatusCode.DEADLINE_EXCEEDED if is_late else grpc.StatusCode.UNAVAILABLE
    return code


def rpc_error(call: Any, error: Any) -> ApplianceError:
    """Return our error for a call to Triton that raised an error of grpc.aio."""
    return status_error(true_code(call, error), error.details() or "")


def status_error(code: grpc.StatusCode, details: str) -> ApplianceError:
    """Return our error for a call to Triton that ended with this status."""
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        return UnavailableError("the model server is not reachable", hint="it is restarted when it crashes; try again")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError("the request's deadline passed")
    return tensors.error(details)
