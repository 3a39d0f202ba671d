"""`appliance up` of an artefact for TensorRT, as far as it comes without a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from appliance.artefact.manifest import Manifest
from appliance.cli.rim import run
from appliance.errors import IntegrityError, UnknownModelError
from appliance.gpu import Gpu
from appliance.layout import Layout
from appliance.supervisor.served_plan import build_plan, open_served
from appliance.tensorrt.build import BuildInputs, ensure_plan
from appliance.tensorrt.find import Flavour, load_tensorrt
from appliance.tensorrt.plan_store import PlanStore
from tests.refusals import refused
from tests.tensorrt.conftest import DRIVER, L4, PROFILE, Heard, no_smoke
from tests.tensorrt.step_graph import make_plan_artefact
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "root", tmp_path / "cache")


@pytest.fixture
def manifest(layout: Layout) -> Manifest:
    return make_plan_artefact(layout.plain_artefact("tiny", "cuda-sm89", "tensorrt-fp16"))


def configure(layout: Layout, *lines: str) -> None:
    layout.config_file.write_text("\n".join(["[serve]", 'target = "cuda-sm89"', *lines]))


@pytest.mark.usefixtures("manifest")
def test_a_box_without_a_driver_says_so_and_starts_nothing(layout: Layout, capsys: pytest.CaptureFixture[str]):
    configure(layout)
    assert run(["--root", str(layout.root), "up"]) == 5
    assert "this box has no NVIDIA driver" in capsys.readouterr().err
    assert not layout.engines.exists()


@pytest.mark.usefixtures("manifest")
def test_more_than_the_targets_profile_is_refused_before_anything_is_built(
    layout: Layout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def find() -> Gpu:
        return L4

    monkeypatch.setattr("appliance.supervisor.hardware.find_gpu", find)
    configure(layout, "slots = 100")
    assert run(["--root", str(layout.root), "up"]) == 2
    said = capsys.readouterr().err
    assert "slots is 100 and the engine serves 8" in said
    assert "appliance tensorrt build tiny --target cuda-sm89 --preset tensorrt-fp16 --slots 100" in said
    assert not layout.engines.exists()


def test_the_build_is_a_process_of_its_own_whose_words_are_passed_on(
    layout: Layout, manifest: Manifest, capfd: pytest.CaptureFixture[str]
):
    configure(layout)
    assert build_plan(layout, manifest) == 5
    captured = capfd.readouterr()
    assert "error: this box has no NVIDIA driver" in captured.err
    assert captured.out == ""


def test_the_current_plan_is_served_and_none_but_this_boxs(layout: Layout, manifest: Manifest):
    with refused(UnknownModelError, "tiny"):
        open_served(layout, manifest)
    artefact = layout.plain_artefact("tiny", "cuda-sm89", "tensorrt-fp16")
    site = BuildInputs(artefact, manifest, load_tensorrt(Flavour.RTX), L4, DRIVER, PROFILE, PROFILE.slots)
    ensured = ensure_plan(PlanStore(layout.engines), site, no_smoke, Heard())
    served = open_served(layout, manifest)
    assert (served.folder, served.profile) == (ensured.folder, PROFILE)
    assert served.cache_bytes_per_token == manifest.shape.cache_bytes_per_token
    (layout.engines / "key").write_bytes(bytes(32))
    with refused(IntegrityError, "this box"):
        open_served(layout, manifest)


@pytest.mark.usefixtures("manifest")
def test_a_killed_up_takes_its_build_along(layout: Layout):
    """In place of the build stands a program that does not end by itself."""
    script = f"""
import subprocess, sys
from pathlib import Path
from appliance.artefact.folder import read_manifest
from appliance.layout import Layout
from appliance.supervisor import served_plan
layout = Layout(Path({str(layout.root)!r}), Path({str(layout.cache)!r}))
real = subprocess.run
subprocess.run = lambda command, **how: real([sys.executable, "-c", "import time; time.sleep(600)"], **how)
served_plan.build_plan(layout, read_manifest(layout.plain_artefact("tiny", "cuda-sm89", "tensorrt-fp16")))
"""
    up = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    wait_until(lambda: psutil.Process(up.pid).children())
    (build,) = psutil.Process(up.pid).children()
    up.kill()
    up.wait()
    wait_until(lambda: not build.is_running() or build.status() == psutil.STATUS_ZOMBIE)
