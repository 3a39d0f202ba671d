"""A persistent HTTP/1.1 connection of a client, without redirects and retries."""

from __future__ import annotations

import asyncio


class BrokenError(Exception):
    """The connection ended before the answer did."""


class Answer:
    """An answer whose body has not been read completely.

    Attributes:
        status: the HTTP status.
        headers: names in lower case.
    """

    def __init__(self, head: bytes, reader: asyncio.StreamReader) -> None:
        first, *lines = head.decode("latin-1").rstrip().splitlines()
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._reader = reader
        self._left = int(self.headers.get("content-length", -1))

    async def piece(self) -> bytes:
        """Return the next piece of the body, or an empty piece at its end.

        Raises:
            BrokenError: the connection ended.
        """
        try:
            if self._left >= 0:
                size, self._left = self._left, 0
                return await self._reader.readexactly(size)
            size = int(await self._reader.readline(), 16)
            return (await self._reader.readexactly(size + 2))[:-2]
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise BrokenError(f"an answer broke off: {error}") from error

    async def rest(self) -> bytes:
        """Return the rest of the body; raises as `piece` does."""
        body = b""
        while piece := await self.piece():
            body += piece
        return body


class Connection:
    """A connection that `ask` opens if it is not open."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._closes = False

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send a request and return its answer as soon as the answer's head has arrived.

        Raises:
            BrokenError: no server listens, or the connection ended.
        """
        try:
            if self._closes:
                self.close()
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            answer = Answer(await reader.readuntil(b"\r\n\r\n"), reader)
            self._closes = answer.headers.get("connection") == "close"
            return answer  # noqa: TRY300
        except (OSError, asyncio.IncompleteReadError) as error:
            raise BrokenError(f"no answer came: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
