"""Unix sockets of ours: opened for their owner alone, reached by paths of any length, and who is at the other end."""

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
    """Listen at `path`, in place of what a dead process left there; only its owner and root can connect.

    Raises:
        OSError: the folder is absent or not ours.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as short:
            # Nobody can connect before `listen`, so the mode is set in time.
            listener.bind(short)
            path.chmod(0o600)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: Path) -> socket.socket:
    """Connect to `path`; the socket does not block.

    Raises:
        OSError: nobody listens there.
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
    """The user whose process connected, as the kernel noted it then (SO_PEERCRED)."""
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name for `path` within the 107 bytes that the kernel takes, of ASCII letters alone where the last part is.

    It goes through a descriptor of the folder, so it means the same folder even after that is renamed.

    Raises:
        OSError: there is no such folder.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
