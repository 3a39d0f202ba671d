"""A log file with a size limit; the previous file is kept beside it. If the disk is full, only log lines are lost."""

from __future__ import annotations

import os
from pathlib import Path

LIMIT_BYTES = 16 << 20


class BoundedLog:
    """Stores the output of one child: at most `LIMIT_BYTES` in the file, and as many in `<name>.1`."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        """Open the file to append to it.

        Raises:
            OSError: the file cannot be opened.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._limit_bytes = limit_bytes
        self._lost_bytes = 0
        self._descriptor: int | None = self._open()

    def write(self, content: bytes) -> None:
        """Append to the file. If the disk is full, the content is lost; the number of lost bytes is logged later."""
        try:
            self._turn_over(len(content))
            if self._lost_bytes:
                self._append(f"\nappliance: {self._lost_bytes} bytes of this log had no place on the disk\n".encode())
                self._lost_bytes = 0
            self._append(content)
        except OSError:
            self._lost_bytes += len(content)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _turn_over(self, more_bytes: int) -> None:
        """Rotate the file before it exceeds the limit. If an earlier fault left it closed, open it again."""
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
        """Open the file with mode 0600, also if an earlier version left it readable: the log records the requests."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        return descriptor
