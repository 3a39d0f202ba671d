"""One request to Triton's HTTP on a connection of its own, whose end is the request's end in Triton too.

It speaks what Triton speaks (libevhtp): HTTP/1.1, a body of a stated length or in chunks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from appliance import unix_socket
from appliance.errors import ApplianceError, DeadlineError, UnavailableError

_LIMIT_BYTES = 64 << 10
_HINT = "it is restarted when it crashes; try again"


class HttpCall:
    """See the module.

    Attributes:
        status: of the answer, once `head` has returned.
        content_type: likewise.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        """Take a connection; after `timeout_s` seconds the call ends with an error."""
        self._reader = reader
        self._writer = writer
        self._reason: ApplianceError | None = None
        self._length: int | None = None
        too_late = DeadlineError("the request's time ran out")
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self.cancel, too_late)
        self.status = 0
        self.content_type = ""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, socket: Path, timeout_s: float) -> AsyncIterator[HttpCall]:
        """Connect; the connection is closed after the block.

        Raises:
            UnavailableError: nobody listens.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(sock=unix_socket.connect(socket), limit=_LIMIT_BYTES)
        except OSError as error:
            raise UnavailableError("the model server is not reachable", hint=_HINT) from error
        call = cls(reader, writer, timeout_s)
        try:
            yield call
        finally:
            call.close()

    def cancel(self, reason: ApplianceError) -> None:
        """End it in Triton too; whoever waits for the answer gets `reason`. Has no effect after the end."""
        if self._reason is None:
            self._reason = reason
            self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection."""
        self._timer.cancel()
        self._writer.transport.abort()

    async def send(self, path: str, body: bytes) -> None:
        """Send a POST with a JSON body.

        Raises:
            ApplianceError: Triton went away, or `cancel` was called with this error.
        """
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with self._translated():
            self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await self._writer.drain()

    async def head(self) -> None:
        """Wait for the answer's head; raises as `send` does."""
        with self._translated():
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.status = int(first.split()[1])
            self.content_type = fields.get("content-type", "")
            if fields.get("transfer-encoding", "").lower() != "chunked":
                self._length = int(fields.get("content-length", "0"))

    async def pieces(self) -> AsyncIterator[bytes]:
        """The answer's body as it comes; raises as `send` does. None is empty."""
        with self._translated():
            if self._length is not None:
                if self._length:
                    yield await self._reader.readexactly(self._length)
                return
            while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
                yield (await self._reader.readexactly(size + 2))[:size]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        # The last two: bytes that are no HTTP, and a head without an end.
        except (OSError, asyncio.IncompleteReadError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            gone = UnavailableError("the model server went away, or does not speak HTTP", hint=_HINT)
            raise self._reason or gone from error
