"""A call to Triton with any number of answers. Its messages are sent at the first read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio


class StreamCall:
    """See the module.

    grpc.aio could send the messages by itself, from an iterator. But if the call ends meanwhile, for example at its
    deadline, grpc.aio cancels the call, and its reader gets CancelledError although nobody cancelled anything.
    """

    def __init__(self, call: Any, messages: Sequence[bytes]) -> None:
        """`call` is a call of grpc.aio without serializers, to which nothing was written."""
        self._call = call
        self._unsent = messages

    async def read(self) -> Any:
        """Return the next message as bytes, or grpc.aio.EOF after the last.

        Raises:
            grpc.aio.AioRpcError: the call ended with an error.
        """
        if self._unsent:
            messages, self._unsent = self._unsent, ()
            # The call has ended. The read returns the reason.
            with suppress(grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
                for message in messages:
                    await self._call.write(message)
                await self._call.done_writing()
        return await self._call.read()

    def cancel(self) -> None:
        """Cancel the call in Triton too. Has no effect after the end."""
        self._call.cancel()

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, at least 0; None without a deadline."""
        left: float | None = self._call.time_remaining()
        return left

    async def code(self) -> grpc.StatusCode:
        """The status with which the call ended; waits for the end."""
        code: grpc.StatusCode = await self._call.code()
        return code

    async def details(self) -> str:
        """The text of the status; waits for the end."""
        return await self._call.details() or ""
