"""Releases: folders that never change, and the links `current` and `previous`, which select two of them.

Artefacts and TensorRT plans are installed as releases. The box serves `current`, which changes atomically by renaming
a link. docs/formats/releases.md specifies it. The content of releases is verified elsewhere.
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
# Separates a release's name from its number, if an earlier release of the same name was damaged.
_AGAIN = "."


@dataclass(frozen=True)
class Releases:
    """One folder of releases. Changes need a lock, which the caller holds; reading needs none.

    Attributes:
        folder: contains the releases and the links.
        staging: where a release is prepared, on the same file system.
        plain: possible folder of a release without links, current if there are no links; None if there is no such
            folder.
    """

    folder: Path
    staging: Path
    plain: Path | None = None

    def current(self) -> Path | None:
        """The folder of the current release; None if there is none or the link is broken.

        Raises:
            IntegrityError: `current` is not a link.
        """
        link = self.folder / CURRENT
        return self._linked(link) if os.path.lexists(link) else self._plain()

    def previous(self) -> Path | None:
        """The folder of the previous release; None if there is none.

        Raises:
            IntegrityError: `previous` is not a link.
        """
        found = self._linked(self.folder / PREVIOUS)
        # A crash between the two link changes leaves both at the same release.
        return None if found == self.current() else found

    def every(self) -> tuple[Path, ...]:
        """The folders of all releases, sorted by name; a plain folder comes last."""
        found: list[Path] = []
        with suppress(FileNotFoundError):
            found = sorted(path for path in self.folder.iterdir() if path.is_dir() and not path.is_symlink())
        plain = self._plain()
        own = (path for path in found if not path.name.startswith(durable.TEMPORARY_PREFIX))
        return (*own, *([plain] if plain else ()))

    def find(self, name: str) -> Path | None:
        """The release with this name: if there are several, the current one, else the one that was installed last."""
        found = [path for path in self.every() if path != self.plain and name_of(path) == name]
        current = self.current()
        return current if current in found else max(found, key=_number, default=None)

    def sweep(self) -> None:
        """Remove what a killed process left partly written or partly removed."""
        shutil.rmtree(self.staging, ignore_errors=True)
        for folder in (self.folder, *([self.plain.parent] if self.plain else ())):
            for leftover in folder.glob(f"{durable.TEMPORARY_PREFIX}*"):
                durable.remove(leftover) if leftover.is_symlink() else shutil.rmtree(leftover)

    @contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        """Yield an empty folder with the name of the new release; it is removed when the block ends."""
        folder = self.staging / name
        durable.make_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(self.staging, ignore_errors=True)

    def publish(self, staged: Path) -> Path:
        """Make the staged folder the current release; returns its folder.

        A release is never replaced. If a release with this name exists, which the caller found damaged, the new release
        gets a number, and the damaged release is removed last.
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
        """Make a release current. The former current release becomes the previous, unless it has the same name."""
        before = self.current()
        if before == release:
            return
        if before is not None and name_of(before) != name_of(release):
            durable.swap_link(self.folder / PREVIOUS, os.path.relpath(before, self.folder))
        durable.swap_link(self.folder / CURRENT, os.path.relpath(release, self.folder))

    def prune(self, *, keep_previous: bool = True) -> tuple[tuple[Path, ...], int]:
        """Remove the releases that are neither current nor previous nor in use; returns them, and the bytes freed.

        Args:
            keep_previous: False removes the previous release too, if it is not in use.
        """
        kept = {self.current(), self.previous() if keep_previous else None}
        freed = {release: _remove_unused(release) for release in self.every() if release not in kept}
        removed = {release: size for release, size in freed.items() if size is not None}
        return tuple(removed), sum(removed.values())

    def _plain(self) -> Path | None:
        return self.plain if self.plain and self.plain.is_dir() else None

    def _linked(self, link: Path) -> Path | None:
        """The target of one of our links. The link is read only as the name of a release: it cannot lead elsewhere."""
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
    """The name under which the release was staged."""
    return release.name.partition(_AGAIN)[0]


def _number(release: Path) -> int:
    number = release.name.partition(_AGAIN)[2]
    return int(number) if number.isdecimal() else 1


def _remove_unused(release: Path) -> int | None:
    """Remove a release if no process uses it; returns the bytes freed, or None if it stays."""
    with if_unused(release) as is_unused:
        if not is_unused:
            return None
        if release.is_symlink():
            durable.remove(release)
            return 0
        freed = sum(file.stat().st_size for file in release.iterdir())
        durable.remove_folder(release)
        return freed
