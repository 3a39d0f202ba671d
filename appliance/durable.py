"""All durable writes: create, replace, append, stream, swap a link. Each syncs the file and its folder.

A reader sees the complete old or the complete new content. `create` does not overwrite.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

TEMPORARY_PREFIX = ".tmp-"


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable (fsync)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create the folder and its missing parents durably. Existing folders are kept."""
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name[:100]}.{os.getpid()}.{secrets.token_hex(4)}")


@dataclass(frozen=True)
class Staged:
    """A file that is written under a temporary name; `publish` renames it to its final name.

    Attributes:
        stream: stream of the content.
        temporary: its path until it is published.
    """

    stream: BinaryIO
    temporary: Path

    def publish(self, path: Path, mode: int = 0o644, *, exclusive: bool = False) -> None:
        """Sync the content and rename the file to `path`, on the same file system.

        Raises:
            FileExistsError: `exclusive`, and `path` exists; the existing file is unchanged.
        """
        self.stream.flush()
        os.fchmod(self.stream.fileno(), mode)
        os.fsync(self.stream.fileno())
        make_folder(path.parent)
        if exclusive:
            path.hardlink_to(self.temporary)
        else:
            self.temporary.replace(path)
        sync_folder(path.parent)


@contextmanager
def staging(path: Path) -> Iterator[Staged]:
    """Open a temporary file beside `path`. If it is not published within the block, it is deleted."""
    make_folder(path.parent)
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield Staged(stream, temporary)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def replacing(path: Path, mode: int = 0o644, *, exclusive: bool = False) -> Iterator[BinaryIO]:
    """Yield a stream; its content becomes `path` when the block ends, but not if the block raises.

    Args:
        path: path of the content; its folder is created if missing.
        mode: the file's permission bits.
        exclusive: do not replace an existing file.

    Raises:
        FileExistsError: `exclusive`, and `path` exists when the content is complete.
    """
    with staging(path) as staged:
        yield staged.stream
        staged.publish(path, mode, exclusive=exclusive)


def replace(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write `content` to `path` atomically, replacing an existing file."""
    with replacing(path, mode) as stream:
        stream.write(content)


def create(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write `content` to a new file `path` atomically.

    Raises:
        FileExistsError: `path` exists; the existing file is unchanged.
    """
    with replacing(path, mode, exclusive=True) as stream:
        stream.write(content)


def append(path: Path, content: bytes) -> None:
    """Append `content` to `path` with one write; the file is created if missing."""
    make_folder(path.parent)
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        written = os.write(descriptor, content)
        if written != len(content):
            raise OSError(f"{path}: wrote {written} of {len(content)} bytes")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)


def swap_link(link: Path, target: str) -> None:
    """Point the symbolic link at `target` (as written into the link) atomically."""
    make_folder(link.parent)
    temporary = _temporary(link)
    temporary.symlink_to(target)
    try:
        temporary.replace(link)
    except OSError:
        temporary.unlink()
        raise
    sync_folder(link.parent)


def publish_folder(staged: Path, folder: Path) -> None:
    """Sync everything under `staged`, then rename it to `folder`, which must be missing or empty.

    Raises:
        OSError: `folder` is not empty, or is on another file system than `staged`.
    """
    for parent, _, names in os.walk(staged):
        for name in names:
            descriptor = os.open(Path(parent) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(parent))
    make_folder(folder.parent)
    staged.rename(folder)
    sync_folder(folder.parent)


def remove_folder(folder: Path) -> None:
    """Delete the folder and its content.

    The folder is first renamed atomically: after a crash, the rest has a temporary name, and `folder` is never
    incomplete.
    """
    aside = _temporary(folder)
    folder.rename(aside)
    sync_folder(folder.parent)
    shutil.rmtree(aside)


def remove(path: Path) -> None:
    """Delete the file durably; a missing file is no error."""
    with suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)
