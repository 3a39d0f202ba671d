"""The Python backend's files in /dev/shm: named after the root they belong to, and cleaned after a crash.

It never touches a file or a process of another root or user, nor what a copied root says is its own.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

import psutil

from appliance import durable
from appliance.disk import Need, check_space
from appliance.errors import NoSpaceError
from appliance.running_process import boot_id, file_id
from appliance.triton.options import SHARED_MEMORY_BYTES

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - it is what the kernel calls it, and nothing is created here
_OWNER_FILE = "shared-memory-owner"
_OWNER = re.compile(r"[0-9a-f]{16}")
_NEEDED_BYTES_OF_A_MODEL = 2 * SHARED_MEMORY_BYTES
_MORE = "give the container more: docker run --shm-size=256m"


def owner(run: Path) -> str:
    """The word that marks this root's files in /dev/shm, drawn once a boot and kept in `run`.

    A path would not do: two containers may have the same root and share /dev/shm. The word alone would not either: it
    is copied with the root, and the copy would end the first box's server. So the file says which file of which boot it
    is, and counts nowhere else.
    """
    path = run / _OWNER_FILE
    with suppress(FileNotFoundError, ValueError):
        word, where = path.read_text(encoding="ascii", errors="replace").split()
        if _OWNER.fullmatch(word) and where == _place(path):
            return word
    word = secrets.token_hex(8)
    with durable.staging(path) as staged:
        staged.stream.write(f"{word} {_place(staged.temporary)}\n".encode())
        staged.publish(path)
    return word


def _place(path: Path) -> str:
    return f"{boot_id()}/{file_id(path)}"


def fresh_prefix(word: str) -> str:
    """A name prefix for one start of tritonserver."""
    return f"appliance-{word}-{secrets.token_hex(4)}-"


def end_orphans(word: str) -> int:
    """End processes of dead servers of this root that still run, known by the prefix they were started with.

    The caller holds the root's lock and has no server running. Returns how many there were.
    """
    found = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_ours = process.uids().real == os.getuid()
            if is_ours and any(f"appliance-{word}-" in argument for argument in process.cmdline()):
                process.kill()
                found += 1
    return found


def clean(word: str, folder: Path = SHARED_MEMORY) -> tuple[str, ...]:
    """Delete what dead servers of this root left behind; returns the names.

    The caller holds the root's lock and has no server running.
    """
    removed = []
    for path in sorted(folder.glob(f"appliance-{word}-*")):
        with suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                path.unlink()
                removed.append(path.name)
    return tuple(removed)


def check_shared_memory(models: int, folder: Path = SHARED_MEMORY) -> None:
    """Accept if the tensors of so many models have room.

    Raises:
        NoSpaceError: less than 32 MiB a model are free; Triton would fail at a random request.
    """
    if not folder.is_dir():
        raise NoSpaceError(f"{folder} does not exist", hint="Triton's Python backend needs it; mount a tmpfs there")
    check_space([Need("hold tensors", folder, models * _NEEDED_BYTES_OF_A_MODEL)], _MORE)
