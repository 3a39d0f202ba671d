"""Selects the files of a local checkpoint. Code, pickles, and links out of the folder are errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from appliance.errors import IntegrityError, SourceError, UnsafeFormatError
from appliance.sources.formats import TEXTS, WEIGHT_SUFFIXES, check_name_is_safe, check_text, checked

MAX_TEXT_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class LocalCheckpoint:
    """The accepted files of a local checkpoint.

    Attributes:
        files: plain name -> path, links resolved, sorted by name.
        left_out: names of the other files in the folder, which are not needed.
    """

    files: dict[str, Path]
    left_out: tuple[str, ...]

    @classmethod
    def open(cls, place: Path, extra: frozenset[str] = frozenset()) -> LocalCheckpoint:
        """Inspect a folder, or one GGUF file, without reading the weights.

        Args:
            place: the folder or file.
            extra: names of files that are needed besides the usual ones.

        Raises:
            SourceError: the place does not exist, or has no weights, or more than one set of weights.
            UnsafeFormatError: the folder contains a pickle, code, or a link out of the folder.
        """
        if place.is_file() and place.suffix.lower() == ".gguf":
            return cls({place.name: place.resolve()}, ())
        if not place.is_dir():
            raise SourceError(f"{place} is neither a folder nor a GGUF file")
        home = place.resolve()
        # 1. Reject file names of code, and links out of the folder.
        found = {path.name: _inside(path, home) for path in sorted(home.iterdir())}
        for name in found:
            check_name_is_safe(name)
        # 2. Take one set of weights, and the text files of the checkpoint.
        files = {name: path for name, path in found.items() if path.is_file() and (_is_wanted(name) or name in extra)}
        weights = [name for name in files if PurePath(name).suffix.lower() in WEIGHT_SUFFIXES]
        ggufs = [name for name in weights if name.lower().endswith(".gguf")]
        if not weights:
            raise SourceError(
                f"{place} has no weights", hint="the folder must contain *.safetensors files, or one *.gguf file"
            )
        if len(ggufs) > 1 or (ggufs and len(weights) > 1):
            raise SourceError(
                f"{place} has several versions of the weights: {', '.join(weights)}",
                hint="keep one GGUF file or one set of safetensors files, or give the path of the GGUF file",
            )
        return cls(files, tuple(name for name in found if name not in files))

    def find(self, name: str) -> Path | None:
        """The path for the file `name`: the file of this name, or the only GGUF file if `name` is a GGUF file."""
        if name in self.files:
            return self.files[name]
        # People rename downloaded files; the digest decides.
        is_gguf = name.lower().endswith(".gguf")
        return next((path for key, path in self.files.items() if is_gguf and key.lower().endswith(".gguf")), None)


def content_of(name: str, path: Path) -> Iterator[bytes]:
    """The content of an accepted file, whose format is checked against its name.

    Raises:
        UnsafeFormatError: the file is a pickle, or refers to code to run.
        IntegrityError: the format does not match the name.
    """
    if PurePath(name).suffix.lower() in WEIGHT_SUFFIXES:
        yield from checked(name, path.stat().st_size, _chunks(path))
        return
    # Text files are small: read once, so that the checked content is the stored content.
    with path.open("rb") as stream:
        content = stream.read(MAX_TEXT_BYTES + 1)
    if not 0 < len(content) <= MAX_TEXT_BYTES:
        raise IntegrityError(f"{name} is empty, or exceeds the limit of {MAX_TEXT_BYTES} bytes for text files")
    check_text(name, content)
    yield content


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _inside(path: Path, home: Path) -> Path:
    try:
        resolved = path.resolve(strict=True)
    except OSError as error:
        raise SourceError(f"{path.name} cannot be read: {error}") from error
    if not resolved.is_relative_to(home):
        raise UnsafeFormatError(
            f"{path.name} is a link to a file outside the folder, {resolved}",
            hint="copy the folder without links: cp -rL FOLDER COPY",
        )
    return resolved


def _is_wanted(name: str) -> bool:
    return name in TEXTS or PurePath(name).suffix.lower() in WEIGHT_SUFFIXES
