"""Sends one short HTTP request to a server of ours on this machine. No TLS, no redirects, no proxies, no pool."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from appliance import unix_socket
from appliance.address import Address
from appliance.within import within

OK = 200
ACCEPTED = 202
_MAX_BYTES = 4 << 20
TIMEOUT_S = 2.0


async def get(address: Address | Path, path: str, timeout_s: float = TIMEOUT_S) -> tuple[int, str] | None:
    """Return status and body, or None without an answer in time; a Path is the path of a Unix socket."""
    with suppress(OSError, asyncio.TimeoutError, ValueError, IndexError):
        return await within(timeout_s, _ask("GET", address, path))
    return None


async def post(address: Address | Path, path: str, timeout_s: float) -> tuple[int, str] | None:
    """The same as `get` with the method POST and no body."""
    with suppress(OSError, asyncio.TimeoutError, ValueError, IndexError):
        return await within(timeout_s, _ask("POST", address, path))
    return None


async def status_of(address: Address | Path, path: str, timeout_s: float = TIMEOUT_S) -> int | None:
    """Return only the status, or None without an answer in time."""
    answer = await get(address, path, timeout_s)
    return answer[0] if answer else None


async def _ask(method: str, address: Address | Path, path: str) -> tuple[int, str]:
    if isinstance(address, Path):
        reader, writer = await asyncio.open_unix_connection(sock=unix_socket.connect(address))
    else:
        reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        # HTTP/1.0: the body ends with the connection and is never chunked.
        writer.write(f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        answer = await reader.read(_MAX_BYTES)
        while piece := await reader.read(_MAX_BYTES - len(answer)):
            answer += piece
    finally:
        # close() would wait until all is sent, even beyond the end of the event loop.
        writer.transport.abort()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode(errors="replace")
