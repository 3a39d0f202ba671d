"""The box's store of plans, which also states which plans are current. docs/formats/plan.md specifies it.

It does not verify plans: see `open_plan`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.manifest import Manifest
from appliance.lock import locked
from appliance.names import check_name, variant
from appliance.releases import Releases

PLAN = "plan"
RECORD = "record.json"
_DEPTH = 3


@dataclass(frozen=True)
class PlanStore:
    """The folder of one box's plans.

    Attributes:
        folder: see `Layout.engines`.
    """

    folder: Path

    @classmethod
    def of_plan(cls, plan: Path) -> PlanStore:
        """The store that contains this plan folder."""
        return cls(plan.parents[_DEPTH])

    @property
    def box_key(self) -> Path:
        """The path of the box's secret key."""
        return self.folder / "key"

    def timings(self, flavour: str, version: str, compute_capability: str) -> Path:
        """The path of the timing cache for one TensorRT and one kind of GPU."""
        return self.folder / "timing" / f"{flavour}-{version}-sm{compute_capability.replace('.', '')}.cache"

    def releases(self, manifest: Manifest) -> Releases:
        """The plans of one artefact, each named by its key's digest."""
        return self._releases(check_name(manifest.model, "model"), variant(manifest.target, manifest.preset))

    def current(self, manifest: Manifest) -> Path | None:
        """The folder of the artefact's current plan."""
        return self.releases(manifest).current()

    def plans(self) -> tuple[Path, ...]:
        """The folders of all plans, sorted by path."""
        return tuple(plan for each in self._every() for plan in each.every() if (plan / RECORD).exists())

    def is_current(self, plan: Path) -> bool:
        """Whether this folder is the current plan of its artefact."""
        return self._releases_of(plan).current() == plan

    def is_previous(self, plan: Path) -> bool:
        """Whether this folder is the previous plan of its artefact."""
        return self._releases_of(plan).previous() == plan

    @contextmanager
    def changing(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the store's lock while plans are built or removed; leftovers of a killed build are removed first.

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
        """Remove every plan that is neither current nor previous nor in use. The caller holds the store's lock.

        Returns the removed folders, and the bytes freed.
        """
        pruned = [each.prune() for each in self._every()]
        return tuple(plan for plans, _ in pruned for plan in plans), sum(freed for _, freed in pruned)

    def _every(self) -> list[Releases]:
        return [self._releases(path.parent.name, path.name) for path in sorted(self.folder.glob("plans/*/*"))]

    def _releases_of(self, plan: Path) -> Releases:
        return self._releases(plan.parent.parent.name, plan.parent.name)

    def _releases(self, model: str, name: str) -> Releases:
        # A staged plan has the same depth of folders as an installed plan, so that it can be opened there.
        return Releases(self.folder / "plans" / model / name, self._staging / model / name)

    @property
    def _staging(self) -> Path:
        return self.folder / "staging"
