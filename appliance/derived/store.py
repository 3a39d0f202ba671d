"""The box's store of one kind of builds, which also states which of them are current.

docs/formats/plan.md specifies it for plans. It does not verify the builds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from appliance.artefact.manifest import Manifest
from appliance.lock import locked
from appliance.names import check_name, variant
from appliance.releases import Releases

RECORD = "record.json"
_DEPTH = 3


@dataclass(frozen=True)
class DerivedStore:
    """The folder of one box's builds; subclasses are the kinds of builds.

    Attributes:
        folder: see `Layout.engines`.
        kind: name of the kind's folder.
    """

    folder: Path
    kind: ClassVar[str]

    @property
    def box_key(self) -> Path:
        """The path of the box's secret key."""
        return self.folder / "key"

    def releases(self, manifest: Manifest) -> Releases:
        """The builds of one artefact, each named by its key's digest."""
        return self._releases(check_name(manifest.model, "model"), variant(manifest.target, manifest.preset))

    def current(self, manifest: Manifest) -> Path | None:
        """The folder of the artefact's current build."""
        return self.releases(manifest).current()

    def builds(self) -> tuple[Path, ...]:
        """The folders of all builds, sorted by path."""
        return tuple(build for each in self._every() for build in each.every() if (build / RECORD).exists())

    def is_current(self, build: Path) -> bool:
        """Whether this folder is the current build of its artefact."""
        return self._releases_of(build).current() == build

    def is_previous(self, build: Path) -> bool:
        """Whether this folder is the previous build of its artefact."""
        return self._releases_of(build).previous() == build

    @contextmanager
    def changing(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the store's lock while it changes; leftovers of a killed build are removed first.

        Args:
            waiting: called once if another process holds the lock.
        """
        with locked(self.folder / "lock", waiting=waiting):
            for each in self._every():
                each.sweep()
            try:
                yield
            finally:
                shutil.rmtree(self._staging, ignore_errors=True)

    def prune(self) -> tuple[tuple[Path, ...], int]:
        """Remove every build that is neither current nor previous nor in use. The caller holds the store's lock.

        Returns the removed folders, and the bytes freed.
        """
        pruned = [each.prune() for each in self._every()]
        return tuple(build for builds, _ in pruned for build in builds), sum(freed for _, freed in pruned)

    def _every(self) -> list[Releases]:
        return [self._releases(path.parent.name, path.name) for path in sorted(self.folder.glob(f"{self.kind}/*/*"))]

    def _releases_of(self, build: Path) -> Releases:
        return self._releases(build.parent.parent.name, build.parent.name)

    def _releases(self, model: str, name: str) -> Releases:
        # A staged build has the same depth of folders as an installed one, so that it can be opened there.
        return Releases(self.folder / self.kind / model / name, self._staging / model / name)

    @property
    def _staging(self) -> Path:
        return self.folder / "staging"


def store_folder(build: Path) -> Path:
    """The folder of the store that contains this build."""
    return build.parents[_DEPTH]
