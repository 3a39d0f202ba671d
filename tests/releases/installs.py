"""How the two kinds of releases that a box has are installed: the last step of a build, and that of an export."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.artefact.folder import read_manifest
from appliance.layout import Layout
from appliance.store import ArtefactStore
from appliance.tensorrt.plan_store import PlanStore
from export.installation import install
from export.progress import Progress
from export.stages import StageResult
from tests.export.progress import Steps


def install_plan(root: Path, new: Path) -> None:
    """Install a plan that was built, and prune.

    Args:
        root: of the box.
        new: holds the artefact that the plan was built from, `artefact`, and the plan in a folder named by its key.
    """
    store = PlanStore(root / "engines")
    releases = store.releases(read_manifest(new / "artefact"))
    (plan,) = (path for path in new.iterdir() if path.name != "artefact")
    with store.changing(lambda: None):
        with releases.staged(plan.name) as staged:
            shutil.copytree(plan, staged, dirs_exist_ok=True)
            releases.publish(staged)
        store.prune()


def install_artefact(root: Path, new: Path, progress: Progress | None = None) -> None:
    """Install an artefact as an export does, from a folder that holds its files and its manifest."""
    manifest = read_manifest(new)
    result = StageResult(new, manifest.files, was_kept=True)
    install(ArtefactStore(Layout(root=root, cache=root / "cache")), manifest, [result], progress or Steps())


INSTALLS: Mapping[str, Callable[[Path, Path], None]] = {"plan": install_plan, "artefact": install_artefact}
