"""Messages between the gateway and a template's process: a length, then that number of bytes."""

from __future__ import annotations

import asyncio
import socket
import struct

# The first byte of an answer: the text follows; or the reason of a refusal follows; or the answer is too large, and
# the number of characters follows (nothing follows if the budget was exceeded).
DONE = b"T"
REFUSED = b"R"
TOO_LARGE = b"M"
_LENGTH = struct.Struct("<Q")


def send(connection: socket.socket, content: bytes) -> None:
    """Send one message.

    Raises:
        OSError: the other end has closed the socket.
    """
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket) -> bytes | None:
    """Return the next message; None if the other end has closed the socket."""
    head = _exactly(connection, _LENGTH.size)
    return None if head is None else _exactly(connection, _LENGTH.unpack(head)[0])


async def exchange(connection: socket.socket, content: bytes) -> bytes | None:
    """Send one message on a non-blocking socket and return the answer; None if the other end has closed the socket."""
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
