"""One call to Triton whose messages are bytes in both directions. It does not check the messages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio

from appliance.errors import ApplianceError, EngineError
from appliance.gateway.refusals import PassedOnError
from appliance.gateway.triton.call_end import read_to_end, status_error, true_code
from appliance.gateway.triton.tensors import NOT_LOADED

# The first byte of a ModelStreamInferResponse with an error: field 1, which is text.
_ERROR_FIELD = b"\x0a"
# These statuses come from our own end of the connection. All others are Triton's answer, for the client.
_OURS = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


class ForwardedCall:
    """The stream of Triton's answers to a call."""

    def __init__(self, call: Any, *, is_unary: bool) -> None:
        """`call` is a StreamCall, or a unary call of grpc.aio without serializers, which has exactly one message."""
        self._call = call
        self._is_unary = is_unary
        self._is_over = False

    async def read(self) -> bytes | None:
        """Return the next message, or None after the last.

        Raises:
            ApplianceError: Triton rejected the call or ended.
        """
        with self._translated():
            if self._is_unary:
                return await self._read_only()
            message = await self._call.read()
            if message is not grpc.aio.EOF:
                if message.startswith(_ERROR_FIELD):
                    await read_to_end(self._call)
                return bytes(message)
            code = await self._call.code()
            if code is not grpc.StatusCode.OK:
                raise _error(code, await self._call.details())
            return None

    async def only(self) -> bytes:
        """Return the first message of a call that has exactly one; raises as `read` does."""
        message = await self.read()
        if message is None:
            raise EngineError("Triton ended the call without an answer")
        return message

    def cancel(self) -> None:
        """Cancel the call in Triton too. Has no effect after the end."""
        self._call.cancel()

    async def _read_only(self) -> bytes | None:
        if self._is_over:
            return None
        self._is_over = True
        return bytes(await self._call)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise _error(true_code(self._call, error), error.details() or "") from error


def _error(code: grpc.StatusCode, details: str) -> ApplianceError:
    if code in _OURS and not any(words in details for words in NOT_LOADED):
        return status_error(code, details)
    return PassedOnError(details, code)
