"""Whether a disk has room for the small files of a running box. It writes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

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
