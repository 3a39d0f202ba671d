"""An artefact's folder on disk: reads its manifest and verifies its files. Links and unlisted files are errors."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.artefact.manifest import MANIFEST_NAME, FileEntry, Manifest
from appliance.errors import IntegrityError, UnknownModelError

MAX_MANIFEST_BYTES = 16 << 20
_PIECE_BYTES = 1 << 20
_EXPORT = "export the model again"


def read_manifest(folder: Path) -> Manifest:
    """Parse the folder's manifest. It reads no other file: see `check_files`.

    Raises:
        UnknownModelError: the folder or its manifest does not exist.
        IntegrityError: the manifest is damaged or not a regular file.
        UnsupportedError: the manifest's schema is unknown.
    """
    try:
        descriptor = open_regular(folder / MANIFEST_NAME)
    except FileNotFoundError as error:
        raise UnknownModelError(f"{folder} contains no {MANIFEST_NAME}", hint="export the model first") from error
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(MAX_MANIFEST_BYTES + 1)
    if len(data) > MAX_MANIFEST_BYTES:
        raise IntegrityError(f"{folder / MANIFEST_NAME} is larger than {MAX_MANIFEST_BYTES} bytes")
    return Manifest.from_bytes(data)


def check_files(folder: Path, manifest: Manifest, unread: AbstractSet[str] = frozenset()) -> None:
    """Verify that the folder contains exactly the files that the manifest lists, byte for byte.

    1. Every file in the folder is listed, and every listed file exists.
    2. Each is a regular file, neither a symbolic link nor a hard link to a file elsewhere.
    3. Size and sha256 are the listed ones. Each file is read once.

    Args:
        folder: the artefact's folder.
        manifest: its manifest.
        unread: names of files that the caller does not read: rules 2 and 3 are not checked for them.

    Raises:
        IntegrityError: a rule does not hold; the message names the file.
    """
    listed = {entry.name for entry in manifest.files}
    present = {path.name for path in folder.iterdir()} - {MANIFEST_NAME}
    for name in sorted(present - listed):
        raise IntegrityError(
            f"{folder / name} is not in the manifest", hint="remove the file, or export the model again"
        )
    for name in sorted(listed - present):
        raise IntegrityError(f"{folder / name} is missing", hint=_EXPORT)
    check_contents(folder, [entry for entry in manifest.files if entry.name not in unread])


def check_contents(folder: Path, entries: Iterable[FileEntry], hint: str = _EXPORT) -> None:
    """Verify files by rules 2 and 3 of `check_files`, on all processors that this process may use.

    `hint` says how to replace a damaged file.

    Raises:
        FileNotFoundError, IntegrityError: see `check_file`.
    """
    largest_first = sorted(entries, key=lambda entry: -entry.size_bytes)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="digest") as pool:
        for checked in [pool.submit(check_file, folder, entry, hint) for entry in largest_first]:
            checked.result()


def check_file(folder: Path, entry: FileEntry, hint: str = _EXPORT) -> None:
    """Verify one file by rules 2 and 3 of `check_files`; `hint` says how to replace a damaged file.

    Raises:
        FileNotFoundError: the file does not exist.
        IntegrityError: a rule does not hold.
    """
    path = folder / entry.name
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        size = os.fstat(descriptor).st_size
        if size != entry.size_bytes:
            raise IntegrityError(f"{path} has {size} bytes instead of {entry.size_bytes}", hint=hint)
        digest = hashlib.sha256()
        piece = bytearray(_PIECE_BYTES)
        view = memoryview(piece)
        while count := stream.readinto(piece):
            digest.update(view[:count])
    if digest.hexdigest() != entry.sha256:
        raise IntegrityError(f"{path} does not match its recorded digest", hint=hint)


def file_entry(path: Path) -> FileEntry:
    """Name, size and sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
        return FileEntry(path.name, stream.tell(), digest.hexdigest())


def open_regular(path: Path) -> int:
    """Open for reading without following a link. The opened file is checked, so it cannot be exchanged meanwhile.

    A second hard link is refused: through it, somebody could write into the artefact from outside, or could have put
    another owner's file into it.

    Raises:
        FileNotFoundError: the file does not exist.
        IntegrityError: it is a link or not a regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise IntegrityError(f"{path} cannot be opened as a regular file: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(descriptor)
        kind = "has a second hard link" if stat.S_ISREG(status.st_mode) else "is not a regular file"
        raise IntegrityError(f"{path} {kind}", hint="copy the artefact instead of linking it")
    return descriptor
