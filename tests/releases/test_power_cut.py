"""The power goes before each system call of an installation: then the old release is served whole, or the new one."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import MANIFEST_NAME, TOKENIZER
from appliance.tensorrt.build import BuildInputs, ensure_plan
from appliance.tensorrt.find import Flavour, load_tensorrt
from appliance.tensorrt.plan_store import PLAN, PlanStore
from tests.gateway.tiny_artefact import write_artefact
from tests.power_cut import Loss
from tests.releases.installs import INSTALLS
from tests.releases.judge import DAMAGED, NOTHING, SERVED
from tests.tensorrt.conftest import DRIVER, L4, PROFILE, Heard, no_smoke
from tests.tensorrt.step_graph import make_plan_artefact

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Stock:
    """Releases of one kind that were really made, and how to put them into a root.

    Attributes:
        kind: names how they are installed and judged.
        folders: what `INSTALLS` takes, one for each release, the first the oldest.
        names: what `SERVED` calls them.
        damaged: the name of a file to damage.
    """

    kind: str
    folders: tuple[Path, ...]
    names: tuple[str, ...]
    damaged: str

    def install(self, root: Path, number: int) -> None:
        """Install one of them."""
        INSTALLS[self.kind](root, self.folders[number])

    def served(self, root: Path) -> str:
        """What the root serves."""
        return SERVED[self.kind](root)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Plans of one artefact for 1, 2 and 3 slots, in the order of their names' use."""
    folder = tmp_path_factory.mktemp("plans")
    make_plan_artefact(folder / "artefact")
    site = BuildInputs(
        folder / "artefact",
        read_manifest(folder / "artefact"),
        load_tensorrt(Flavour.RTX),
        L4,
        DRIVER,
        PROFILE,
        PROFILE.slots,
    )
    folders, names = [], []
    for slots in (1, 2, 3):
        other = dataclasses.replace(site, profile=dataclasses.replace(PROFILE, slots=slots), slots=slots)
        made = ensure_plan(PlanStore(folder / "engines"), other, no_smoke, Heard()).folder
        shutil.copytree(made, folder / str(slots) / made.name)
        shutil.copytree(folder / "artefact", folder / str(slots) / "artefact")
        folders.append(folder / str(slots))
        names.append(made.name)
    return Stock("plan", tuple(folders), tuple(names), PLAN)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Artefacts of one model that differ in their licence alone."""
    folder = tmp_path_factory.mktemp("artefacts")
    names = ("first", "second", "third")
    for name in names:
        write_artefact(folder / name)
        manifest = dataclasses.replace(read_manifest(folder / name), license=name)
        (folder / name / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return Stock("artefact", tuple(folder / name for name in names), names, TOKENIZER)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process syncs need not reach the disk: nobody cuts its power."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def stock(request: pytest.FixtureRequest) -> Stock:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture(params=[0, 1, 2], ids=["nothing before", "one before", "two before"])
def before(request: pytest.FixtureRequest) -> int:
    return request.param  # type: ignore[no-any-return]


def sweep(stock: Stock, folder: Path, number: int) -> dict[Loss, list[Path]]:
    """Cut the power at every call of installing a release into `folder/before`; returns the roots that are left."""
    shutil.copytree(stock.folders[number], folder / "new", symlinks=True)
    command = [sys.executable, "-m", "tests.releases.sweep", stock.kind, str(folder)]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    return {loss: sorted((folder / loss.name.lower()).iterdir()) for loss in Loss}


def check(stock: Stock, roots: dict[Loss, list[Path]], old: str, number: int) -> None:
    """Every root serves the old release or the new one, and takes the new one when it is installed again."""
    new = stock.names[number]
    for loss, cut in roots.items():
        served = [stock.served(root) for root in cut]
        assert set(served) == {old, new}, loss
        assert served[-1] == new
        if loss is Loss.NOTHING:
            assert served == sorted(served, key=[old, new].index)
        for root in cut:
            stock.install(root, number)
            assert stock.served(root) == new
            left = {path.name for path in root.rglob("*")}
            assert not [name for name in left if name.startswith(".tmp-") or name == "staging"]


@pytest.mark.parametrize("stock", ["plans", "artefacts"], indirect=True)
def test_the_old_release_is_served_or_the_new_one(stock: Stock, before: int, tmp_path: Path):
    (tmp_path / "before").mkdir()
    for number in range(before):
        stock.install(tmp_path / "before", number)
    old = stock.names[before - 1] if before else NOTHING
    assert stock.served(tmp_path / "before") == old
    check(stock, sweep(stock, tmp_path, before), old, before)


@pytest.mark.parametrize("stock", ["plans", "artefacts"], indirect=True)
def test_a_damaged_release_is_not_replaced_before_the_new_one_is_served(stock: Stock, tmp_path: Path):
    stock.install(tmp_path / "before", 0)
    (file,) = (tmp_path / "before").rglob(stock.damaged)
    file.write_bytes(b"other")
    assert stock.served(tmp_path / "before") == DAMAGED
    roots = sweep(stock, tmp_path, 0)
    assert {stock.served(root) for cut in roots.values() for root in cut} == {DAMAGED, stock.names[0]}


@pytest.mark.parametrize("installed", [0, 1], ids=["it is followed", "it is removed"])
def test_an_artefact_of_an_earlier_version_is_served_until_a_new_one_is(
    artefacts: Stock, tmp_path: Path, installed: int
):
    """It lies in a plain folder, which is the previous release then, and is removed after that."""
    shutil.copytree(artefacts.folders[0], tmp_path / "before" / "exports" / "tiny-instruct" / "cpu-test")
    assert artefacts.served(tmp_path / "before") == "first"
    for number in range(1, 1 + installed):
        artefacts.install(tmp_path / "before", number)
    roots = sweep(artefacts, tmp_path, 1 + installed)
    check(artefacts, roots, artefacts.names[installed], 1 + installed)
    for root in (root for cut in roots.values() for root in cut):
        assert len(list(root.glob("exports/*/*/manifest.json"))) == 1 - installed
