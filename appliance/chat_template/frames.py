"""Messages between the gateway and a template's process: a length, then as many bytes."""

from __future__ import annotations

import asyncio
import socket
import struct

# How an answer begins: it is the text; the reason of a refusal; too much for the budget, or this many characters.
DONE = b"T"
REFUSED = b"R"
TOO_LARGE = b"M"
_LENGTH = struct.Struct("<Q")


def send(connection: socket.socket, content: bytes) -> None:
    """Send one message.

    Raises:
        OSError: the other end is gone.
    """
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket) -> bytes | None:
    """Return the next message; None when the other end is gone."""
    head = _exactly(connection, _LENGTH.size)
    return None if head is None else _exactly(connection, _LENGTH.unpack(head)[0])


async def exchange(connection: socket.socket, content: bytes) -> bytes | None:
    """Send one message and return the answer; None when the other end is gone. The socket does not block."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(connection, _LENGTH.pack(len(content)) + content)
        head = await _exactly_later(connection, _LENGTH.size)
        return None if head is None else await _exactly_later(connection, _LENGTH.unpack(head)[0])
    except ConnectionError:
        return None


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        try:
            got = connection.recv_into(view)
        except ConnectionError:
            return None
        if not got:
            return None
        view = view[got:]
    return bytes(content)


async def _exactly_later(connection: socket.socket, size: int) -> bytes | None:
    loop = asyncio.get_running_loop()
    content = bytearray(size)
    view = memoryview(content)
    while view:
        got = await loop.sock_recv_into(connection, view)
        if not got:
            return None
        view = view[got:]
    return bytes(content)
