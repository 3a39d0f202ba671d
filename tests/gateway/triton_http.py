"""Triton's HTTP in Triton's place: takes what arrives on its Unix socket, and answers by what the test sets."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.triton import sockets

ANSWER = b'{"model_name":"tiny-instruct","model_version":"1","text_output":"well"}'


@dataclass
class FakeTritonHttp:
    """The server. `asked` collects paths and bodies; `running` counts connections.

    `pieces` are sent in chunks, one after the other; None among them waits until the client is gone, and an empty one
    cuts the connection as a crash does.
    """

    status: str = "200 OK"
    pieces: list[bytes | None] = field(default_factory=lambda: [ANSWER])
    asked: list[tuple[str, Any]] = field(default_factory=list)
    running: int = 0
    _server: asyncio.Server | None = None

    async def start(self, folder: Path) -> None:
        self._server = await asyncio.start_unix_server(self._answer, str(folder / sockets.HTTP))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.running += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1])) if length else b""
            self.asked.append((head.split()[1], json.loads(body) if body else None))
            await self._send(reader, writer)
        finally:
            self.running -= 1
            writer.transport.abort()

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: application/json\r\n".encode()
        if len(self.pieces) == 1 and self.pieces[0]:
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(self.pieces[0]) + self.pieces[0])
            await writer.drain()
            return
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in self.pieces:
            if piece is None:
                await reader.read()
                return
            if not piece:
                return
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
