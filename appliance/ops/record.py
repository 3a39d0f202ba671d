"""The record beside the compiled library: from what it was made, and its digest."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance import sealed
from appliance.errors import IntegrityError

LIBRARY = "libappliance_ops.so"
RECORD = "libappliance_ops.json"
SOURCES = "source"
_HINT = "run: make setup; without a checkout, install the wheel again"


@dataclass(frozen=True)
class Record:
    """What the build wrote about one library. Digests are SHA-256 in hexadecimal.

    Attributes:
        recipe: digest of everything that decides the library's bytes: sources, options, compiler, target.
        sources: digest of the sources.
        library: digest of the library.
        compiler: the compiler and its version.
        target: what the library was compiled for.
    """

    recipe: str
    sources: str
    library: str
    compiler: str
    target: str

    def to_bytes(self) -> bytes:
        """As JSON, with a digest of its own."""
        return sealed.to_bytes(asdict(self))

    @classmethod
    def of(cls, folder: Path) -> Record:
        """Read the record in the folder.

        Raises:
            IntegrityError: it is missing or damaged.
        """
        path = folder / RECORD
        try:
            return cls(**sealed.from_bytes(path.read_bytes()))
        except FileNotFoundError as error:
            raise IntegrityError(f"the operators' record is missing: {path}", hint=_HINT) from error
        except (ValueError, TypeError) as error:
            raise IntegrityError(f"the operators' record is damaged: {path}: {error}", hint=_HINT) from error

    def check(self, content: bytes, path: Path) -> None:
        """Compare the library's bytes with the recorded digest.

        Raises:
            IntegrityError: they differ.
        """
        if hashlib.sha256(content).hexdigest() != self.library:
            raise IntegrityError(f"the operators' library does not match its digest: {path}", hint=_HINT)


def digest_of_sources(folder: Path) -> str:
    """SHA-256 over the names and the contents of all sources and headers below the folder."""
    found = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder).as_posix()}\n"
        for path in folder.rglob("*")
        if path.suffix in {".cpp", ".h"}
    )
    return hashlib.sha256("".join(found).encode()).hexdigest()
