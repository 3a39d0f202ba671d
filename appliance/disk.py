"""The free space of a disk: for a running box's small files, and for work that is about to start."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import NoSpaceError
from appliance.sizes import size

# A state file, a socket, the end of a log: a disk with less free space counts as full.
_NEEDED_BYTES = 1 << 20


@dataclass(frozen=True)
class Disk:
    """The free space of a file system for users.

    Attributes:
        free_bytes: free bytes.
        is_full: no file can be created or grow.
    """

    free_bytes: int
    is_full: bool

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """The file system of the folder.

        Raises:
            OSError: the folder does not exist.
        """
        found = os.statvfs(folder)
        free_bytes = found.f_bavail * found.f_frsize
        # Some file systems do not count files, and report zero.
        has_files = found.f_favail > 0 or found.f_files == 0
        return cls(free_bytes, is_full=free_bytes < _NEEDED_BYTES or not has_files)


@dataclass(frozen=True)
class Need:
    """Bytes that one step of the work will write.

    Attributes:
        what: the step, as a verb: "download".
        folder: the folder that it writes to; it need not exist yet.
        size_bytes: maximum number of bytes.
    """

    what: str
    folder: Path
    size_bytes: int


def free_bytes(folder: Path) -> int:
    """Free bytes for this user on the folder's disk; the folder must exist."""
    return Disk.of(folder).free_bytes


def check_space(needs: Sequence[Need], otherwise: str = "move the folders with --root and APPLIANCE_CACHE") -> None:
    """Check that the free space of each disk is enough for all needs, before any work starts.

    Args:
        needs: all steps; the needs on one disk are added.
        otherwise: for the hint, what to do besides freeing space.

    Raises:
        NoSpaceError: a disk is too small; the message has the arithmetic.
    """
    disks: dict[int, list[Need]] = {}
    for need in needs:
        disks.setdefault(_existing(need.folder).stat().st_dev, []).append(need)
    for together in disks.values():
        folder = _existing(together[0].folder)
        wanted, available = sum(need.size_bytes for need in together), free_bytes(folder)
        if wanted > available:
            terms = " + ".join(f"{size(need.size_bytes)} to {need.what}" for need in together)
            total = f" = {size(wanted)}" if len(together) > 1 else ""
            raise NoSpaceError(
                f"not enough space on the disk of {folder}: {terms}{total}, but {size(available)} are free",
                hint=f"free {size(wanted - available)}, or {otherwise}",
            )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
