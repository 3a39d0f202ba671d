"""What a disk has left: for a running box's small files, and for work that is about to begin. It writes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import NoSpaceError
from appliance.sizes import size

# A state file, a socket, the end of a log: less than this is none.
_NEEDED_BYTES = 1 << 20


@dataclass(frozen=True)
class Disk:
    """What a file system has left for users.

    Attributes:
        free_bytes: for content.
        is_full: no file can be made or grow.
    """

    free_bytes: int
    is_full: bool

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """The one that the folder is on.

        Raises:
            OSError: the folder is absent.
        """
        found = os.statvfs(folder)
        free_bytes = found.f_bavail * found.f_frsize
        # Some file systems count no files, and say that they have none.
        has_files = found.f_favail > 0 or found.f_files == 0
        return cls(free_bytes, is_full=free_bytes < _NEEDED_BYTES or not has_files)


@dataclass(frozen=True)
class Need:
    """Bytes that one step of the work will write.

    Attributes:
        what: the step, as a verb: "download".
        folder: where it writes; it may not exist yet.
        size_bytes: how much, at most.
    """

    what: str
    folder: Path
    size_bytes: int


def free_bytes(folder: Path) -> int:
    """Bytes free to us on the disk of the folder, which must exist."""
    return Disk.of(folder).free_bytes


def check_space(needs: Sequence[Need], otherwise: str = "move the folders with --root and APPLIANCE_CACHE") -> None:
    """Compare what will be written with what is free, disk by disk, before any work starts.

    Args:
        needs: all steps; those that write to one disk add up.
        otherwise: what helps beside freeing space, for the hint.

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
