"""Reads single kernel files below a root folder. A file that is absent or unreadable gives None."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_AT_MOST = 1 << 16


def text(path: Path) -> str | None:
    """The content without the zero byte and white space at its end; None if it cannot be read."""
    # A sensor in a part of the chip that is off returns EAGAIN. Python's file objects treat EAGAIN as an empty read.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _AT_MOST).decode(errors="replace").strip("\0 \t\n")
        finally:
            os.close(descriptor)
    return None


def number(path: Path) -> int | None:
    """The integer in the file; None if the file contains no integer."""
    with suppress(ValueError):
        return int(text(path) or "")
    return None


def folders(parent: Path, pattern: str) -> list[Path]:
    """Folders in `parent` whose names match, sorted by the number at the end of the name."""
    with suppress(OSError):
        return sorted((path for path in parent.glob(pattern) if path.is_dir()), key=_by_number)
    return []


def _by_number(path: Path) -> tuple[int, str]:
    digits = path.name[len(path.name.rstrip("0123456789")) :]
    return int(digits or 0), path.name
