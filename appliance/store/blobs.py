"""Files named by the digest of their content. Every file is verified before it is added, and never changed."""

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

_DAMAGED = "pull the model again, and check the disk"

Advance = Callable[[int], None]


class Blobs:
    """The store's files, `<store>/sha256/ab/cdef…`.

    Callers hold the lock while they remove files, and from adding files until a record names them.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._incoming = store / "incoming"

    @property
    def lock(self) -> Path:
        """The lock file of the whole store."""
        return self._store / "lock"

    def path(self, sha256: str) -> Path:
        """The path of the content with this digest, whether it exists or not."""
        return self._store / "sha256" / sha256[:2] / sha256[2:]

    def add(
        self,
        name: str,
        chunks: Iterable[bytes],
        expected: ModelFile | None = None,
        advance: Advance | None = None,
        *,
        hint: str = "",
    ) -> ModelFile:
        """Write the content into the store while hashing it.

        Args:
            name: the file's plain name, for the result and for messages.
            chunks: the content, in order.
            expected: the required size and digest; None accepts any content.
            advance: receives the number of bytes written.
            hint: what to do if the content is not the expected one.

        Returns:
            The file's name, size and digest.

        Raises:
            IntegrityError: the content is not the expected one; it is not added.
        """
        digest, size_bytes = hashlib.sha256(), 0
        with durable.staging(self._incoming / name) as staged:
            for chunk in chunks:
                digest.update(chunk)
                size_bytes += len(chunk)
                if expected is not None and size_bytes > expected.size_bytes:
                    raise IntegrityError(f"{name} is longer than the expected {expected.size_bytes} bytes", hint=hint)
                staged.stream.write(chunk)
                if advance is not None:
                    advance(len(chunk))
            file = ModelFile(name, size_bytes, digest.hexdigest())
            if expected is not None:
                check_same(file, expected, hint)
            # Replace an existing file: it may be damaged on disk, and the new content was hashed now.
            staged.publish(self.path(file.sha256), READ_ONLY)
        return file

    def check(self, file: ModelFile, advance: Advance | None = None) -> None:
        """Hash the stored file again.

        Raises:
            IntegrityError: the file is missing or unreadable, or its content does not match its digest.
        """
        digest, size_bytes = hashlib.sha256(), 0
        try:
            for chunk in read_chunks(self.path(file.sha256)):
                digest.update(chunk)
                size_bytes += len(chunk)
                if advance is not None:
                    advance(len(chunk))
        except OSError as error:
            raise IntegrityError(
                f"{file.name} is missing or unreadable in the store: {error}", hint=_DAMAGED
            ) from error
        check_same(ModelFile(file.name, size_bytes, digest.hexdigest()), file, _DAMAGED)

    def digests(self) -> Iterator[str]:
        """The digests of all stored files."""
        for path in (self._store / "sha256").glob("??/*"):
            yield path.parent.name + path.name

    def keep_only(self, wanted: set[str]) -> int:
        """Remove every file whose digest is not in `wanted`, and leftovers of a killed pull; returns bytes freed."""
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
        """Remove the partly written files of a killed pull."""
        for leftover in self._incoming.glob("*"):
            durable.remove(leftover)


def read_chunks(path: Path) -> Iterator[bytes]:
    """The file's content in chunks of a megabyte.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def check_same(found: ModelFile, expected: ModelFile, hint: str) -> None:
    """Compare size and digest.

    Raises:
        IntegrityError: they differ.
    """
    if found.size_bytes != expected.size_bytes:
        raise IntegrityError(f"{expected.name} has {found.size_bytes} bytes, not {expected.size_bytes}", hint=hint)
    if found.sha256 != expected.sha256:
        raise IntegrityError(f"{expected.name} has sha256 {found.sha256}, not {expected.sha256}", hint=hint)
