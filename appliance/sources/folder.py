"""Selects the files of a local checkpoint. Code, pickles, and links out of the folder are errors.

Only the links of a snapshot in the cache of huggingface_hub may lead out of it, into the blobs of the same model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from appliance.errors import IntegrityError, SourceError, UnsafeFormatError, UnsupportedError
from appliance.sources.formats import (
    HEAD_BYTES,
    INCOMPLETE_HINT,
    POOLING,
    TEXTS,
    WEIGHT_SUFFIXES,
    check_head,
    check_name_is_safe,
    check_text,
    checked,
)
from appliance.sources.hub_cache import blobs_of, snapshot_of

MAX_TEXT_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20
_ADAPTER = "adapter_config.json"
# The folder of a sentence-transformers model whose configuration is needed too.
_POOLING_FOLDER = "1_Pooling"
_PART_OF_SEVERAL = re.compile(r".*-\d{5}-of-\d{5}\.gguf", re.IGNORECASE)


@dataclass(frozen=True)
class LocalCheckpoint:
    """The accepted files of a local checkpoint.

    Attributes:
        place: the folder or file.
        files: plain name -> path, links resolved, sorted by name. 1_Pooling/config.json has the name POOLING.
        left_out: names of the other files in the folder, which are not needed.
    """

    place: Path
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
            UnsupportedError: the weights are an adapter, or one of several parts of a GGUF file.
        """
        if place.is_file() and place.suffix.lower() == ".gguf":
            return cls(place, {place.name: place.resolve()}, ())
        if not place.is_dir():
            raise SourceError(
                f"{place} is neither a folder nor a GGUF file",
                hint="give the path of a folder with config.json and *.safetensors files, or of one *.gguf file",
            )
        place = snapshot_of(place)
        home = place.resolve()
        # 1. Reject file names of code, and links out of the folder.
        blobs = blobs_of(home)
        found = {name: _inside(path, home, blobs) for name, path in _listed(home)}
        for name in found:
            check_name_is_safe(name)
        if _ADAPTER in found:
            raise UnsupportedError(
                f"{place} contains an adapter (LoRA) for another model: {_ADAPTER}",
                hint="merge the adapter into its base model (merge_and_unload in PEFT), save the merged model with its "
                "tokenizer, and install that folder",
            )
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
                f"{place} has several versions of the weights: {', '.join(weights)}", hint=_one_of_several(weights)
            )
        return cls(place, files, tuple(name for name in found if name not in files))

    def find(self, name: str) -> Path | None:
        """The path for the file `name`: the file of this name, or the only GGUF file if `name` is a GGUF file."""
        if name in self.files:
            return self.files[name]
        # People rename downloaded files; the digest decides.
        is_gguf = name.lower().endswith(".gguf")
        return next((path for key, path in self.files.items() if is_gguf and key.lower().endswith(".gguf")), None)


def check_content(name: str, path: Path) -> None:
    """Check the format of an accepted file against its name: a text is read whole, of weights the first bytes.

    Raises:
        UnsafeFormatError: the file is a pickle, or refers to code to run.
        IntegrityError: the format does not match the name.
    """
    if PurePath(name).suffix.lower() not in WEIGHT_SUFFIXES:
        for _ in content_of(name, path):
            pass
        return
    with path.open("rb") as stream:
        check_head(name, path.stat().st_size, stream.read(HEAD_BYTES))


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
        raise IntegrityError(
            f"{name} is empty, or exceeds the limit of {MAX_TEXT_BYTES} bytes for text files", hint=INCOMPLETE_HINT
        )
    check_text(name, content)
    yield content


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _listed(home: Path) -> list[tuple[str, Path]]:
    """Plain name and path of all that is in the folder, sorted. The pooling's file stands for its folder."""
    paths = {path.name: path for path in home.iterdir()}
    pooling = home / _POOLING_FOLDER / "config.json"
    if os.path.lexists(pooling) and POOLING not in paths:
        del paths[_POOLING_FOLDER]
        paths[POOLING] = pooling
    return sorted(paths.items())


def _inside(path: Path, home: Path, blobs: Path | None) -> Path:
    name = path.relative_to(home)
    try:
        resolved = path.resolve(strict=True)
    except OSError as error:
        raise SourceError(
            f"{name} cannot be read: {error}", hint="correct the file or link, or move it out of the folder"
        ) from error
    if not resolved.is_relative_to(home) and (blobs is None or resolved.parent != blobs):
        raise UnsafeFormatError(
            f"{name} is a link to a file outside the folder, {resolved}",
            hint="copy the folder without links: cp -rL FOLDER COPY",
        )
    return resolved


def _one_of_several(weights: Sequence[str]) -> str:
    if all(map(_PART_OF_SEVERAL.fullmatch, weights)):
        return "join the parts with llama-gguf-split --merge FIRST_PART JOINED, and give the path of the joined file"
    return "keep one GGUF file or one set of safetensors files, or give the path of the GGUF file"


def _is_wanted(name: str) -> bool:
    return name in TEXTS or PurePath(name).suffix.lower() in WEIGHT_SUFFIXES
