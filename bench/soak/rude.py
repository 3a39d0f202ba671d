"""Misbehaving clients beside the crowd: incomplete requests, too large bodies, unread answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator

from appliance.gateway.settings import Settings
from bench.soak.tally import Tally

_HEAD = "POST /v1/completions HTTP/1.1\r\nhost: box\r\ncontent-type: application/json\r\n"
_PIECE_BYTES = 1 << 16
_BEGINNING_BYTES = 64
_UNREAD_TOKENS = 256
_SMALL_BUFFER_BYTES = 4096
_PAUSE_S = 0.2


class Rude:
    """`halves` connections send half a request and wait, `readers` never read, and two clients send too much."""

    def __init__(self, host: str, port: int, model: str, tally: Tally, *, halves: int, readers: int) -> None:
        self._address = (host, port)
        long = {"prompt": "Count", "max_tokens": _UNREAD_TOKENS, "ignore_eos": True, "stream": True}
        self._body = json.dumps({"model": model, **long}).encode()
        self._tally = tally
        self._halves, self._readers = halves, readers

    async def run(self) -> None:
        """Run until cancelled."""
        halves = [f"{_HEAD}content-length: 100\r\n\r\n{{".encode(), _HEAD.encode(), b"POST /v1/comp"]
        everybody = [self._half(halves[number % len(halves)]) for number in range(self._halves)]
        everybody += [self._never_read() for _ in range(self._readers)]
        await asyncio.gather(*everybody, self._too_large(declared=True), self._too_large(declared=False))

    async def _half(self, start: bytes) -> None:
        while True:
            async with self._connected() as (reader, writer):
                writer.write(start)
                # The box answers or closes the connection after its timeout.
                self._note("half a request", await reader.read(_BEGINNING_BYTES))
            await asyncio.sleep(_PAUSE_S)

    async def _too_large(self, *, declared: bool) -> None:
        what = "too large a body" if declared else "too large a body, not declared"
        while True:
            async with self._connected() as (reader, writer):
                if declared:
                    writer.write(f"{_HEAD}content-length: {Settings.max_body_bytes + 1}\r\n\r\n".encode())
                else:
                    writer.write(f"{_HEAD}transfer-encoding: chunked\r\n\r\n".encode())
                    for _ in range(Settings.max_body_bytes // _PIECE_BYTES):
                        writer.write(b"%x\r\n" % _PIECE_BYTES + b" " * _PIECE_BYTES + b"\r\n")
                        await writer.drain()
                    # Only the last byte exceeds the limit: if bytes were sent after the box's answer, the client
                    # would lose the answer.
                    writer.write(b"1\r\n \r\n")
                self._note(what, await reader.read(_BEGINNING_BYTES))
            await asyncio.sleep(_PAUSE_S)

    async def _never_read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
                connection.setblocking(False)
                await loop.sock_connect(connection, self._address)
                head = f"{_HEAD}content-length: {len(self._body)}\r\n\r\n".encode()
                await loop.sock_sendall(connection, head + self._body)
                await asyncio.sleep(_PAUSE_S * 50)
                self._tally.rude["an answer left unread"] += 1

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Yield a connection. If the box closes it, this is expected behaviour, not an error."""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            with contextlib.suppress(ConnectionError):
                yield reader, writer
        finally:
            writer.transport.abort()

    def _note(self, what: str, answer: bytes) -> None:
        self._tally.rude[f"{what}: {answer.split()[1].decode() if answer.startswith(b'HTTP/') else 'cut'}"] += 1
