"""Triton's Unix sockets: their folder, which only the box's user can enter, and the check that Triton has no others.

Each start checks the folder, even if it exists already, and where Triton listens, whatever its version.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from appliance import unix_socket
from appliance.errors import IntegrityError, MissingProgramError

# Triton writes "address:port", and gRPC uses the whole text as the socket's name.
GRPC_PORT = 8001
GRPC = f"grpc:{GRPC_PORT}"
METRICS = "metrics"
_MODE = 0o700
# In the kernel's tables, proc(5): the state of a listening TCP socket, and the flag of a listening Unix socket.
_TCP_LISTEN = "0A"
_ACCEPTS = 0x10000
_UNIX_COLUMNS = 8


def prepare(folder: Path) -> None:
    """Create the folder, or check and empty an existing folder. No process listens in it.

    Raises:
        IntegrityError: the folder belongs to another user, or others can enter it.
    """
    with suppress(FileExistsError):
        folder.mkdir(_MODE)
        # Independent of the umask.
        folder.chmod(_MODE)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != _MODE:
        raise IntegrityError(
            f"{folder} must be a folder of the user of the box that no other user can open (mode 0700)",
            hint=f"delete the folder: rm -rf '{folder}'; it is for Triton's sockets, which need no key",
        )
    for name in (GRPC, METRICS):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def grpc_target(folder: Path) -> Iterator[str]:
    """The gRPC target of Triton, valid within the block, for any folder name.

    The channel must not share its connection with others of this process: the name refers to another folder later.

    Raises:
        OSError: the folder does not exist.
    """
    with unix_socket.short_name(folder / GRPC) as name:
        yield f"unix:{name}"


# CUDA's driver opens this socket in every process that uses a GPU, to share memory between processes.
_CUDA = "unix @cuda-uvmfd-"
CHANNEL_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


def listens_on(pid: int, paths: set[str]) -> bool:
    """Whether this process and its descendants listen on all of these paths, as given in Triton's options.

    Raises:
        MissingProgramError: they also listen elsewhere; the message names these addresses.
    """
    wanted = {f"unix {path}" for path in paths}
    found = {name for name in _listening(pid) if not name.startswith(_CUDA)}
    if strays := sorted(found - wanted):
        raise MissingProgramError(
            f"this Triton also listens on {', '.join(strays)}, although it must use only Unix sockets: other users "
            "could reach it without a key",
            hint="install a Triton that supports --grpc-address=unix:PATH and --metrics-address=unix:PATH",
        )
    return found == wanted


def _listening(pid: int) -> set[str]:
    """The addresses of listening sockets of a process and its descendants, as "tcp 0100007F:1F90" or "unix PATH"."""
    owned: set[str] = set()
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            owned |= _sockets_of(process.pid)
    found = set()
    for protocol in ("tcp", "tcp6"):
        for _, address, _, state, *rest in _rows(pid, protocol):
            if state == _TCP_LISTEN and rest[5] in owned:
                found.add(f"{protocol} {address}")
    for row in _rows(pid, "unix", _UNIX_COLUMNS - 1):
        if int(row[3], 16) & _ACCEPTS and row[6] in owned:
            found.add(f"unix {row[7]}")
    return found


def _rows(pid: int, protocol: str, most_splits: int = -1) -> list[list[str]]:
    """The rows of a kernel socket table, as this process sees it. The last column, a path, may have spaces."""
    try:
        text = Path(f"/proc/{pid}/net/{protocol}").read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [line.split(maxsplit=most_splits) for line in text.splitlines()[1:]]


def _sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    found = set()
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                kind, _, inode = str(descriptor.readlink()).partition(":")
                if kind == "socket":
                    found.add(inode.strip("[]"))
    return found
