"""Writes an answer as server-sent events or lines of JSON. While the answer waits, the stream sends keep-alive signs.

Source: HTML Standard, 9.2.6: a line that begins with a colon is a comment, which clients ignore.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.errors import ApplianceError
from appliance.gateway.answering.answer import Answer
from appliance.gateway.http.writer import Writer
from appliance.gateway.settings import Settings

EVENTS = b"text/event-stream; charset=utf-8"
LINES = b"application/x-ndjson"
_HEADERS = [
    (b"cache-control", b"no-store"),
    # Otherwise nginx would buffer the events.
    (b"x-accel-buffering", b"no"),
]
_COMMENT = b": waiting\n\n"


@dataclass(frozen=True)
class Pulse:
    """The type of a stream, and when it sends keep-alive signs.

    Attributes:
        head_after_s: seconds without a first piece after which the status, the headers and the first sign are sent.
        every_s: seconds without any byte after which the next sign is sent.
        sign: an event, a comment or a line that clients ignore.
        content_type: EVENTS or LINES.
    """

    head_after_s: float
    every_s: float
    sign: bytes
    content_type: bytes = EVENTS

    @classmethod
    def of(cls, settings: Settings, sign: bytes = _COMMENT, content_type: bytes = EVENTS) -> Pulse:
        """The pulse of all streams of this gateway."""
        return cls(settings.stream_head_after_s, settings.stream_ping_s, sign, content_type)


class EventStream:
    """One stream. The status is sent with the first events, or by the pulse."""

    def __init__(
        self,
        answer: Answer[Any],
        writer: Writer,
        pulse: Pulse,
        head: Callable[[], bytes],
        headers: Sequence[tuple[bytes, bytes]],
    ) -> None:
        """Create a stream.

        Args:
            answer: ends if a write takes too long.
            writer: writes to the client.
            pulse: see Pulse.
            head: returns the events before all others.
            headers: headers in addition to those of every stream.
        """
        self._answer = answer
        self._writer = writer
        self._pulse = pulse
        self._head = head
        self._headers = [(b"content-type", pulse.content_type), *_HEADERS, *headers]
        self._turn = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time
        self._written_at = 0.0
        self._has_ended = False

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Send keep-alive comments inside the block."""
        beat = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
        if not beat.cancelled() and (bug := beat.exception()) is not None:
            raise bug

    async def write(self, events: Callable[[], bytes], *, more: bool = True, is_large: bool = False) -> None:
        """Write events.

        Args:
            events: encodes the events, after the head.
            more: False for the last events.
            is_large: the events may be long, so they are encoded on a thread.

        Raises:
            ApplianceError: the client stopped reading.
        """
        try:
            async with self._turn:
                await self._write(events, more=more, is_large=is_large)
        except asyncio.CancelledError:
            # The write of a sign hung, and this one waited for it.
            if self._answer.reason is None:
                raise
            raise self._answer.reason from None

    async def _write(self, events: Callable[[], bytes], *, more: bool, is_large: bool) -> None:
        # Encoding can fail: then the error gets its own status.
        body = b"" if self._writer.has_begun else self._head()
        body += await asyncio.to_thread(events) if is_large else events()
        if not self._writer.has_begun:
            await self._writer.start(self._headers)
        self._has_ended = not more
        if body or not more:
            await self._writer.write(body, more=more)
            self._written_at = self._clock()

    async def _beat(self) -> None:
        wait_s = self._pulse.head_after_s
        # A reader of the answer gets the same error.
        with contextlib.suppress(ApplianceError):
            while True:
                await asyncio.sleep(wait_s)
                async with self._turn:
                    if self._has_ended:
                        return
                    if not self._writer.has_begun or self._clock() >= self._written_at + self._pulse.every_s:
                        await self._write(lambda: self._pulse.sign, more=True, is_large=False)
                    wait_s = self._written_at + self._pulse.every_s - self._clock()
