"""A log file that never grows past a limit, with the one before it beside it. A full disk loses lines, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

LIMIT_BYTES = 16 << 20


class BoundedLog:
    """Takes the output of one child: at most `LIMIT_BYTES` in the file, and as many in `<name>.1`."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        """Open the file, to go on at its end.

        Raises:
            OSError: it cannot be opened.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._limit_bytes = limit_bytes
        self._lost_bytes = 0
        self._descriptor: int | None = self._open()

    def write(self, content: bytes) -> None:
        """Add to the file; what has no place on the disk is lost, and its size is told as soon as there is one."""
        try:
            self._turn_over(len(content))
            if self._lost_bytes:
                self._append(f"\nappliance: {self._lost_bytes} bytes of this log had no place on the disk\n".encode())
                self._lost_bytes = 0
            self._append(content)
        except OSError:
            self._lost_bytes += len(content)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _turn_over(self, more_bytes: int) -> None:
        """Put a file aside that would grow too large. One that was left closed by a fault is opened again."""
        if self._descriptor is not None and os.fstat(self._descriptor).st_size + more_bytes > self._limit_bytes:
            self.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        if self._descriptor is None:
            self._descriptor = self._open()

    def _append(self, content: bytes) -> None:
        if self._descriptor is None:
            return
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def _open(self) -> int:
        """Open it for the box's user alone, also where an earlier version left it open: it says who asked what for."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        return descriptor
