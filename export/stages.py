"""Results of export stages, kept by the digest of all their inputs, and verified before each use."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from appliance import durable
from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import FileEntry
from appliance.errors import IntegrityError

_INDEX = "stage.json"
_FILES = "files"
_NAME_DIGITS = 32


@dataclass(frozen=True)
class Recipe:
    """All that decides a stage's result.

    Attributes:
        name: the stage, for people.
        code: packages or modules of `export` whose source affects the result, for example "lowering".
        inputs: digests of the inputs, by name.
        options: JSON values that change the result.
        versions: versions of the libraries that change the result.
    """

    name: str
    code: Sequence[str]
    inputs: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """The sha256 of the recipe; equal digests mean equal results."""
        value = {**asdict(self), "code": _code_digest(self.code)}
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class StageResult:
    """A finished stage: a read-only folder and its files' digests."""

    folder: Path
    files: tuple[FileEntry, ...]
    was_kept: bool

    def file(self, name: str) -> Path:
        """The path of a file."""
        return self.folder / name

    def digest(self, name: str) -> str:
        """The sha256 of a file.

        Raises:
            IntegrityError: the stage has no such file.
        """
        for entry in self.files:
            if entry.name == name:
                return entry.sha256
        raise IntegrityError(f"{self.folder} has no {name}", hint="delete the folder and export again")


class Stages:
    """The cache of stages in one folder. Only one export uses it at a time: the caller holds a lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sweep(self) -> None:
        """Remove the partial results of an interrupted export."""
        for leftover in self._folder.glob(f"{durable.TEMPORARY_PREFIX}*"):
            shutil.rmtree(leftover)

    def is_kept(self, recipe: Recipe) -> bool:
        """Whether a result exists, verified or not."""
        return (self._path(recipe) / _INDEX).is_file()

    def result(self, recipe: Recipe, make: Callable[[Path], None]) -> StageResult:
        """Return the stage's result. It is made now, unless a kept result passes verification.

        Args:
            recipe: all that decides the result.
            make: writes the result's files into the given empty folder, without subfolders.

        Raises:
            Any error of `make`; no result is kept then.
        """
        folder = self._path(recipe)
        try:
            return StageResult(folder / _FILES, _proved(folder), was_kept=True)
        except IntegrityError:
            # The result is missing or damaged: users may delete parts of the cache at any time, so it is made again.
            shutil.rmtree(folder, ignore_errors=True)
        durable.make_folder(self._folder)
        staged = self._folder / f"{durable.TEMPORARY_PREFIX}{folder.name}"
        (staged / _FILES).mkdir(parents=True)
        try:
            make(staged / _FILES)
            entries = tuple(file_entry(path) for path in sorted((staged / _FILES).iterdir()))
            index = json.dumps([asdict(entry) for entry in entries], indent=2)
            (staged / _INDEX).write_text(index, encoding="utf-8")
            durable.publish_folder(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return StageResult(folder / _FILES, entries, was_kept=False)

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """Yield an empty folder, deleted when the block ends; `sweep` removes it after an interruption."""
        with tempfile.TemporaryDirectory(prefix=durable.TEMPORARY_PREFIX, dir=self._folder) as folder:
            yield Path(folder)

    def _path(self, recipe: Recipe) -> Path:
        return self._folder / f"{recipe.name}-{recipe.digest()[:_NAME_DIGITS]}"


def _proved(folder: Path) -> tuple[FileEntry, ...]:
    """Return the entries of a kept result after hashing each file.

    Raises:
        IntegrityError: the result is missing, or differs from its index.
    """
    try:
        entries = tuple(FileEntry(**entry) for entry in json.loads((folder / _INDEX).read_bytes()))
        found = tuple(file_entry(path) for path in sorted((folder / _FILES).iterdir()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{folder} contains no complete stage: {error}") from error
    if found != entries:
        raise IntegrityError(f"{folder} does not match its index")
    return entries


def _code_digest(names: Sequence[str]) -> str:
    """The sha256 of the source of packages and modules of `export`."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for name in sorted(names):
        package = root / name
        sources = sorted(package.rglob("*.py")) if package.is_dir() else [package.with_suffix(".py")]
        for source in sources:
            content = source.read_bytes()
            digest.update(f"{source.relative_to(root)}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()
