"""One running answer of a model: an API reads it and writes it to the client. It always ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Generic, Protocol, TypeVar

from appliance.errors import ApplianceError, EngineError

Piece = TypeVar("Piece")
Piece_co = TypeVar("Piece_co", covariant=True)


class Source(Protocol[Piece_co]):
    """The stream of what Triton answers."""

    async def read(self) -> Piece_co | None:
        """Return the next piece, or None after the last."""

    def cancel(self) -> None:
        """Stop the work. Has no effect after the end."""


class Answer(Generic[Piece]):
    """See the module. It belongs to the task that makes it.

    Attributes:
        reason: why it was interrupted, if it was.
        writing_since: loop time at which the current write to the client began; None between writes.
    """

    def __init__(self, source: Source[Piece]) -> None:
        """`source` is where the answer comes from."""
        self.reason: ApplianceError | None = None
        self.writing_since: float | None = None
        self._source = source
        self._task = asyncio.current_task()
        self._clock = asyncio.get_running_loop().time

    async def read(self) -> Piece | None:
        """Return the next piece, or None after the last.

        Raises:
            ApplianceError: the engine rejected the request or failed, Triton ended, or the answer was interrupted.
        """
        try:
            return await self._source.read()
        except asyncio.CancelledError:
            if self.reason is None:
                raise
            raise self.reason from None
        except ApplianceError as error:
            if self.reason is not None:
                raise self.reason from error
            raise

    async def only(self) -> Piece:
        """Return the first piece of an answer that has exactly one piece; raises as `read` does."""
        piece = await self.read()
        if piece is None:
            raise EngineError("the engine ended the answer and gave no reason")
        return piece

    async def write(self, writing: Awaitable[object]) -> None:
        """Await a write to the client; a write that takes too long ends the answer.

        Raises:
            ApplianceError: the client stopped reading.
        """
        self.writing_since = self._clock()
        try:
            await writing
        except asyncio.CancelledError:
            if self.reason is None:
                raise
            raise self.reason from None
        self.writing_since = None

    def interrupt(self, reason: ApplianceError) -> None:
        """Free the slot; a reader gets the error `reason`. Has no effect after the end."""
        self.reason = self.reason or reason
        self._source.cancel()

    def abandon(self, reason: ApplianceError) -> None:
        """Interrupt during a write that does not finish; the task that waits for the write is cancelled."""
        self.interrupt(reason)
        if self._task is not None:
            self._task.cancel()
