"""A box with an artefact for TensorRT, and real plans of it: TensorRT for RTX builds for a GPU that is not there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import Manifest
from appliance.engine.parity import Parity
from appliance.gpu import Gpu
from appliance.tensorrt.build import BuildInputs, ensure_plan
from appliance.tensorrt.driver import installed_driver
from appliance.tensorrt.find import Flavour, TensorRt, load_tensorrt
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PlanStore
from tests.tensorrt.step_graph import make_plan_artefact

PROFILE = Profile(slots=4, context_tokens=64, chunk_tokens=16)
# As the data sheet has it; which driver and which card is a box's own affair.
L4 = Gpu(
    name="NVIDIA L4",
    compute_capability="8.9",
    memory_bytes=24_000_000_000,
    driver_version="13.0",
    uuid="GPU-5f1c0d1e-0000-4000-8000-000000000001",
    integrated=False,
)
DRIVER = installed_driver(L4)


class Heard:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.percent: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, percent: int) -> None:
        self.percent.append(percent)


TRIED = Parity(mean_kl=0.25, worst_kl=0.5, top1_agreement=1.0, rows=52)


def no_smoke(_plan: Path, _artefact: Path, _manifest: Manifest) -> Mapping[str, float]:
    """Runs nothing: there is no GPU here. Its figures are those of a plan that passed."""
    return TRIED.figures


@pytest.fixture(scope="session")
def rtx() -> TensorRt:
    return load_tensorrt(Flavour.RTX)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, rtx: TensorRt) -> Path:
    """A folder with an artefact, and a store in which its plan was built."""
    folder = tmp_path_factory.mktemp("built")
    site = BuildInputs(
        folder / "artefact", make_plan_artefact(folder / "artefact"), rtx, L4, DRIVER, PROFILE, PROFILE.slots
    )
    ensure_plan(PlanStore(folder / "engines"), site, no_smoke, Heard())
    return folder


@pytest.fixture
def site(tmp_path: Path, built: Path, rtx: TensorRt) -> BuildInputs:
    """What is built from in a test; nothing is built yet."""
    shutil.copytree(built / "artefact", tmp_path / "artefact")
    return BuildInputs(
        tmp_path / "artefact", read_manifest(tmp_path / "artefact"), rtx, L4, DRIVER, PROFILE, PROFILE.slots
    )


@pytest.fixture
def store(tmp_path: Path) -> PlanStore:
    return PlanStore(tmp_path / "engines")


@pytest.fixture
def plan(built: Path, store: PlanStore, site: BuildInputs) -> Path:
    """The folder of a real plan, which is the current one."""
    shutil.copytree(built / "engines", store.folder, symlinks=True)
    return store.releases(site.manifest).folder / site.key.name
