"""Files named by the digest of their content. Nothing gets in unverified, and nothing in it is ever changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from appliance import durable
from appliance.catalog import ModelFile
from appliance.errors import IntegrityError

READ_ONLY = 0o444
CHUNK_BYTES = 1 << 20

Advance = Callable[[int], None]


class Blobs:
    """The store's files, `<store>/sha256/ab/cdef…`.

    Callers hold its lock while they add files until a record names them, and while they remove.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._incoming = store / "incoming"

    @property
    def lock(self) -> Path:
        """The lock file of the whole store."""
        return self._store / "lock"

    def path(self, sha256: str) -> Path:
        """Where the content with this digest is, or would be."""
        return self._store / "sha256" / sha256[:2] / sha256[2:]

    def add(
        self,
        name: str,
        chunks: Iterable[bytes],
        expected: ModelFile | None = None,
        advance: Advance | None = None,
    ) -> ModelFile:
        """Write the content into the store while hashing it.

        Args:
            name: the file's plain name, for the result and for messages.
            chunks: the content, in order.
            expected: what size and digest it must have; None takes it as it is.
            advance: told the bytes written.

        Returns:
            The file's name, size and digest.

        Raises:
            IntegrityError: the content is not what was expected; it has not entered the store.
        """
        digest, size_bytes = hashlib.sha256(), 0
        with durable.staging(self._incoming / name) as staged:
            for chunk in chunks:
                digest.update(chunk)
                size_bytes += len(chunk)
                if expected is not None and size_bytes > expected.size_bytes:
                    raise IntegrityError(f"{name} is longer than the expected {expected.size_bytes} bytes")
                staged.stream.write(chunk)
                if advance is not None:
                    advance(len(chunk))
            file = ModelFile(name, size_bytes, digest.hexdigest())
            if expected is not None:
                check_same(file, expected)
            # An existing file may have rotted; what was just hashed replaces it.
            staged.publish(self.path(file.sha256), READ_ONLY)
        return file

    def check(self, file: ModelFile, advance: Advance | None = None) -> None:
        """Hash the stored file again.

        Raises:
            IntegrityError: it is missing, unreadable, or not what its name says.
        """
        digest, size_bytes = hashlib.sha256(), 0
        try:
            for chunk in read_chunks(self.path(file.sha256)):
                digest.update(chunk)
                size_bytes += len(chunk)
                if advance is not None:
                    advance(len(chunk))
        except OSError as error:
            raise IntegrityError(f"{file.name} is missing or unreadable in the store: {error}") from error
        check_same(ModelFile(file.name, size_bytes, digest.hexdigest()), file)

    def digests(self) -> Iterator[str]:
        """Digests of all stored files."""
        for path in (self._store / "sha256").glob("??/*"):
            yield path.parent.name + path.name

    def keep_only(self, wanted: set[str]) -> int:
        """Remove every file whose digest is not wanted, and what a killed pull left; returns the bytes freed."""
        freed = 0
        for sha256 in set(self.digests()) - wanted:
            path = self.path(sha256)
            freed += path.stat().st_size
            durable.remove(path)
            with suppress(OSError):
                path.parent.rmdir()
        self.sweep()
        return freed

    def sweep(self) -> None:
        """Remove what a killed pull left half-written."""
        for leftover in self._incoming.glob("*"):
            durable.remove(leftover)


def read_chunks(path: Path) -> Iterator[bytes]:
    """The file's content in pieces of a megabyte.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def check_same(found: ModelFile, expected: ModelFile) -> None:
    """Compare size and digest.

    Raises:
        IntegrityError: they differ.
    """
    if found.size_bytes != expected.size_bytes:
        raise IntegrityError(f"{expected.name} has {found.size_bytes} bytes, not {expected.size_bytes}")
    if found.sha256 != expected.sha256:
        raise IntegrityError(f"{expected.name} has sha256 {found.sha256}, not {expected.sha256}")
