"""One call to Triton whose messages are bytes in both directions. It judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio

from appliance.errors import ApplianceError
from appliance.gateway.refusals import PassedOnError
from appliance.gateway.triton.client import read_to_end, status_error, true_code
from appliance.gateway.triton.tensors import NOT_LOADED

# What a ModelStreamInferResponse with an error begins with: its field 1, which is text.
_ERROR_FIELD = b"\x0a"
# These come from our own end of the connection; whatever else is Triton's answer, for the client to read.
_OURS = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


class PassedCall:
    """Triton's answer to a call, while it comes."""

    def __init__(self, call: Any) -> None:
        """Take a call of grpc.aio without serializers."""
        self._call = call
        self._reason: ApplianceError | None = None

    async def only(self) -> bytes:
        """Return the answer to a unary call.

        Raises:
            ApplianceError: Triton refused or went away, or `cancel` was called with this error.
        """
        with self._translated():
            return bytes(await self._call)

    async def read(self) -> bytes | None:
        """Return the next message of a streaming call, or None after the last; raises as `only` does."""
        with self._translated():
            message = await self._call.read()
            if message is not grpc.aio.EOF:
                if message.startswith(_ERROR_FIELD):
                    await read_to_end(self._call)
                return bytes(message)
            code = await self._call.code()
            if code is not grpc.StatusCode.OK:
                raise _error(code, await self._call.details() or "")
            return None

    def cancel(self, reason: ApplianceError) -> None:
        """End it in Triton too; whoever waits for the answer gets `reason`. Has no effect after the end."""
        if self._reason is None:
            self._reason = reason
            self._call.cancel()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._reason or _error(true_code(self._call, error), error.details() or "") from error
        except ApplianceError as error:
            raise self._reason or error from None
        except asyncio.CancelledError:
            if self._reason is None:
                self._call.cancel()
                raise
            raise self._reason from None


def _error(code: grpc.StatusCode, details: str) -> ApplianceError:
    if code in _OURS and not any(words in details for words in NOT_LOADED):
        return status_error(code, details)
    return PassedOnError(details, code)
