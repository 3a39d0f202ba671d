"""Releases of one thing: folders that never change, and the links `current` and `previous` that choose among them.

Artefacts and TensorRT plans are installed so. What is served is `current`, and it changes in one step: the rename of a
link. docs/formats/releases.md has the rules. It proves no content.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from appliance import durable
from appliance.errors import IntegrityError
from appliance.lock import if_unused

CURRENT = "current"
PREVIOUS = "previous"
# Between a release's name and its number, where an earlier one of the same name was damaged.
_AGAIN = "."


@dataclass(frozen=True)
class Releases:
    """One folder of releases. Whoever changes it holds a lock; reading needs none.

    Attributes:
        folder: holds the releases and the links.
        staging: where a release is made before it is one, on the same file system.
        plain: where a release may lie that came without links, current while there are none; None where none can.
    """

    folder: Path
    staging: Path
    plain: Path | None = None

    def current(self) -> Path | None:
        """The folder of the release that is served; None if there is none, or the link leads nowhere.

        Raises:
            IntegrityError: `current` is no link.
        """
        link = self.folder / CURRENT
        return self._linked(link) if os.path.lexists(link) else self._plain()

    def previous(self) -> Path | None:
        """The folder of the release that was served before.

        Raises:
            IntegrityError: `previous` is no link.
        """
        found = self._linked(self.folder / PREVIOUS)
        # A crash between the two links leaves both at the same release.
        return None if found == self.current() else found

    def every(self) -> tuple[Path, ...]:
        """The folders of all releases, by name; a plain one last."""
        found: list[Path] = []
        with suppress(FileNotFoundError):
            found = sorted(path for path in self.folder.iterdir() if path.is_dir() and not path.is_symlink())
        plain = self._plain()
        own = (path for path in found if not path.name.startswith(durable.TEMPORARY_PREFIX))
        return (*own, *([plain] if plain else ()))

    def find(self, name: str) -> Path | None:
        """The release of that name: of several the current one, else the one that was installed last."""
        found = [path for path in self.every() if path != self.plain and name_of(path) == name]
        current = self.current()
        return current if current in found else max(found, key=_number, default=None)

    def sweep(self) -> None:
        """Remove what a killed process left half-made or half-removed."""
        shutil.rmtree(self.staging, ignore_errors=True)
        for folder in (self.folder, *([self.plain.parent] if self.plain else ())):
            for leftover in folder.glob(f"{durable.TEMPORARY_PREFIX}*"):
                durable.remove(leftover) if leftover.is_symlink() else shutil.rmtree(leftover)

    @contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        """Give an empty folder, named as the release will be, to make it in; it is gone when the block ends."""
        folder = self.staging / name
        durable.make_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(self.staging, ignore_errors=True)

    def publish(self, staged: Path) -> Path:
        """Make what was staged the current release; returns its folder.

        No release is ever replaced: if one of this name is there, which the caller found damaged, the new one gets a
        number, and the damaged one is removed last.
        """
        twins = [path for path in self.every() if path != self.plain and name_of(path) == staged.name]
        number = 1 + max(map(_number, twins), default=0)
        release = self.folder / (staged.name if number == 1 else f"{staged.name}{_AGAIN}{number}")
        durable.publish_folder(staged, release)
        self.switch(release)
        for twin in twins:
            _remove_unused(twin)
        return release

    def switch(self, release: Path) -> None:
        """Make a release the current one; the one until now becomes the previous one, unless it was a damaged twin."""
        before = self.current()
        if before == release:
            return
        if before is not None and name_of(before) != name_of(release):
            durable.swap_link(self.folder / PREVIOUS, os.path.relpath(before, self.folder))
        durable.swap_link(self.folder / CURRENT, os.path.relpath(release, self.folder))

    def prune(self) -> tuple[tuple[Path, ...], int]:
        """Remove the releases that are neither current nor previous nor in use; returns them, and the bytes freed."""
        kept = {self.current(), self.previous()}
        freed = {release: _remove_unused(release) for release in self.every() if release not in kept}
        removed = {release: size for release, size in freed.items() if size is not None}
        return tuple(removed), sum(removed.values())

    def _plain(self) -> Path | None:
        return self.plain if self.plain and self.plain.is_dir() else None

    def _linked(self, link: Path) -> Path | None:
        """Where a link of ours leads. It is only read as the name of a release: it can lead nowhere else."""
        try:
            written = str(link.readlink())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise IntegrityError(
                f"{link} is not a link", hint="copy the folder again with its links (rsync -a), or delete it"
            ) from error
        is_plain = self.plain is not None and written == os.path.relpath(self.plain, self.folder)
        target = self.plain if is_plain else self.folder / written
        return target if target in self.every() else None


def name_of(release: Path) -> str:
    """The name that a release was staged under."""
    return release.name.partition(_AGAIN)[0]


def _number(release: Path) -> int:
    number = release.name.partition(_AGAIN)[2]
    return int(number) if number.isdecimal() else 1


def _remove_unused(release: Path) -> int | None:
    """Remove a release that nobody uses; returns the bytes freed, or None if it stays."""
    with if_unused(release) as is_unused:
        if not is_unused:
            return None
        if release.is_symlink():
            durable.remove(release)
            return 0
        freed = sum(file.stat().st_size for file in release.iterdir())
        durable.remove_folder(release)
        return freed
