"""Is there room on the disks, before any work starts. It writes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import NoSpaceError
from appliance.sizes import size

FreeBytes = Callable[[Path], int]


@dataclass(frozen=True)
class Need:
    """Bytes that one step of the work will write under a folder."""

    what: str
    folder: Path
    size_bytes: int


def free_bytes(folder: Path) -> int:
    """Bytes free to us on the disk of the folder, which must exist."""
    return shutil.disk_usage(folder).free


def check_space(needs: Sequence[Need], free: FreeBytes = free_bytes) -> None:
    """Compare what will be written with what is free, disk by disk.

    Raises:
        NoSpaceError: a disk is too small; the message has the arithmetic.
    """
    disks: dict[int, list[Need]] = {}
    for need in needs:
        disks.setdefault(_existing(need.folder).stat().st_dev, []).append(need)
    for together in disks.values():
        folder = _existing(together[0].folder)
        wanted, available = sum(need.size_bytes for need in together), free(folder)
        if wanted > available:
            terms = " + ".join(f"{size(need.size_bytes)} to {need.what}" for need in together)
            raise NoSpaceError(
                f"no space on the disk of {folder}: {terms} = {size(wanted)}, free are {size(available)}",
                hint=f"free {size(wanted - available)}, or move the folders with --root and APPLIANCE_CACHE",
            )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
