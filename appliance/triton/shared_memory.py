"""The Python backend's files in /dev/shm: their names contain an id of the root, and a crash's leftovers are deleted.

It never touches a file or process of another root or user, and does not accept the id in a copied root.
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
    """The id in the names of this root's files in /dev/shm. It is random, created once per boot, and stored in `run`.

    A path cannot be the id: two containers may have the same root path and share /dev/shm. The id alone is not enough:
    a copy of the root would have the same id, and would end the first box's server. So the file also stores the boot
    and the file that it was written for, and is not valid elsewhere.
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
    """End running processes of dead servers of this root, found by the prefix in their command line.

    The caller holds the root's lock and has no server running. Returns the number of processes.
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
    """Delete the files that dead servers of this root left behind; returns their names.

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
    """Check that /dev/shm has space for the tensors of this many models.

    Raises:
        NoSpaceError: less than 32 MiB per model are free; Triton would fail at a random request.
    """
    if not folder.is_dir():
        raise NoSpaceError(f"{folder} does not exist", hint="Triton's Python backend needs it; mount a tmpfs there")
    check_space([Need("hold tensors", folder, models * _NEEDED_BYTES_OF_A_MODEL)], _MORE)
