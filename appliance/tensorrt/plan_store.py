"""Where a box keeps its plans, and which of them are current. docs/formats/engine.md has its laws.

It proves nothing: see `open_plan`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance import durable
from appliance.artefact.manifest import Manifest
from appliance.lock import locked
from appliance.names import check_name

PLAN = "plan"
RECORD = "record.json"
_CURRENT = "current"
_PREVIOUS = "previous"
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
        """The store that holds the folder of a plan."""
        return cls(plan.parents[_DEPTH])

    @property
    def box_key(self) -> Path:
        """The file of the box's own secret."""
        return self.folder / "key"

    def timings(self, flavour: str, version: str, compute_capability: str) -> Path:
        """The timing cache of builds with one TensorRT for one kind of GPU."""
        return self.folder / "timing" / f"{flavour}-{version}-sm{compute_capability.replace('.', '')}.cache"

    def variant(self, manifest: Manifest) -> Path:
        """The folder of all plans of one artefact."""
        target, preset = check_name(manifest.target, "target"), check_name(manifest.preset, "preset")
        return self.folder / "plans" / check_name(manifest.model, "model") / f"{target}-{preset}"

    def plan(self, manifest: Manifest, key: str) -> Path:
        """The folder of one plan, by the name of its key."""
        return self.variant(manifest) / key

    def current(self, manifest: Manifest) -> Path | None:
        """The folder of the plan that serves the artefact."""
        return _linked(self.variant(manifest) / _CURRENT)

    def previous(self, manifest: Manifest) -> Path | None:
        """The folder of the plan that served it before."""
        return _linked(self.variant(manifest) / _PREVIOUS)

    def plans(self) -> tuple[Path, ...]:
        """The folders of all plans, in the order of their paths."""
        found = self.folder.glob(f"plans/*/*/*/{RECORD}")
        return tuple(sorted({path.parent for path in found if not path.parent.is_symlink()}))

    def is_current(self, plan: Path) -> bool:
        """Whether the plan of this folder serves its artefact."""
        return _linked(plan.parent / _CURRENT) == plan

    def is_previous(self, plan: Path) -> bool:
        """Whether it is the one before."""
        return not self.is_current(plan) and _linked(plan.parent / _PREVIOUS) == plan

    @contextmanager
    def changing(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the store alone while plans are built or removed; what a killed build left is swept first.

        Args:
            waiting: called once when another process has to be waited for.
        """
        with locked(self.folder / "lock", waiting=waiting):
            shutil.rmtree(self._staging, ignore_errors=True)
            for leftover in self.folder.glob(f"plans/*/*/{durable.TEMPORARY_PREFIX}*"):
                durable.remove(leftover) if leftover.is_symlink() else shutil.rmtree(leftover)
            yield

    @contextmanager
    def staged(self, manifest: Manifest, key: str) -> Iterator[Path]:
        """Give an empty folder to build a plan in; it is gone when the block ends. The store is held.

        It is named and lies as deep as the plan's own will, so that the plan can be opened there.
        """
        folder = self._staging / self.plan(manifest, key).relative_to(self.folder / "plans")
        durable.make_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def publish(self, staged: Path, plan: Path) -> None:
        """Put a finished plan into its folder, and make it the current one in one step. The store is held."""
        durable.replace_folder(staged, plan)
        self.switch(plan)

    def switch(self, plan: Path) -> None:
        """Make a plan the current one; the one until now becomes the previous one. The store is held."""
        before = _linked(plan.parent / _CURRENT)
        if before == plan:
            return
        if before is not None:
            durable.swap_link(plan.parent / _PREVIOUS, before.name)
        durable.swap_link(plan.parent / _CURRENT, plan.name)

    def prune(self) -> tuple[tuple[Path, ...], int]:
        """Remove every plan that is neither current nor previous; returns their folders, and the bytes freed.

        The store is held.
        """
        removed = tuple(plan for plan in self.plans() if not self.is_current(plan) and not self.is_previous(plan))
        freed = 0
        for plan in removed:
            freed += sum(file.stat().st_size for file in plan.iterdir())
            shutil.rmtree(plan)
            durable.sync_folder(plan.parent)
        return removed, freed

    @property
    def _staging(self) -> Path:
        return self.folder / "staging"


def _linked(link: Path) -> Path | None:
    """Where a link of ours leads: the name of a folder beside it."""
    if not link.is_symlink():
        return None
    target = link.parent / link.readlink().name
    return target if target.is_dir() else None
