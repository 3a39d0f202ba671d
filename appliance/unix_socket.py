"""Our Unix sockets: accessible only to their owner, at paths of any length, with the user id of the peer."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# struct ucred: pid, uid, gid (unix(7)).
_UCRED = struct.Struct("3i")
_BACKLOG = 16


def listen(path: Path) -> socket.socket:
    """Listen at `path`, replacing the socket of a dead process; only its owner and root can connect.

    Raises:
        OSError: the folder does not exist or belongs to another user.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as short:
            # No process can connect before `listen`, so the mode is set in time.
            listener.bind(short)
            path.chmod(0o600)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: Path) -> socket.socket:
    """Connect to `path`; the socket is non-blocking.

    Raises:
        OSError: no process listens there.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as short:
            client.connect(short)
        client.setblocking(False)
    except OSError:
        client.close()
        raise
    return client


def peer_uid(connection: socket.socket) -> int:
    """The user of the process that connected, as the kernel recorded at that time (SO_PEERCRED)."""
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name for `path` within the kernel's limit of 107 bytes; all ASCII if the last part of `path` is.

    The name uses a descriptor of the folder, so it means the same folder even if the folder is renamed.

    Raises:
        OSError: the folder does not exist.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
