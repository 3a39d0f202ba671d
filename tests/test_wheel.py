"""The wheel alone, outside the checkout and with nothing but what requirements/box.lock names, serves a model."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from appliance.ops.machine import this_machine
from appliance.ops.record import Record
from tests.running_box import RunningBox

ROOT = Path(__file__).resolve().parent.parent
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


class InstalledBox(RunningBox):
    """A box that runs the console script of an environment of its own."""

    script: Path

    def command(self, *words: str) -> list[str]:
        return [str(self.script), "--root", str(self.root), *words]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`appliance` of an environment with the wheel and the locked packages, which are links to those of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    (packages,) = environment.glob("lib/python*/site-packages")
    for name in _LOCKED.findall((ROOT / "requirements" / "box.lock").read_text(encoding="utf-8")):
        _link(name, packages)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
    install = ["install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, *install, wheel], check=True)
    return environment / "bin" / "appliance"


def _link(name: str, packages: Path) -> None:
    """Put what a distribution installed into `packages`; what only nvidia-pytriton's Python package needs is absent."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return
    for part in {path.parts[0] for path in found.files or () if path.parts[0] not in {"..", "__pycache__"}}:
        target = packages / part
        if not target.exists():
            target.symlink_to(Path(str(found.locate_file(part))))


@pytest.mark.triton
def test_the_wheel_serves_without_the_checkout(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # pip's own launcher starts from the folder that the user is in.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.defpath)
    box = InstalledBox(tmp_path / "box")
    box.script = script
    with box:
        with box.completion(max_tokens=5) as answer:
            assert json.load(answer)["usage"]["completion_tokens"] == 5
        assert box.call("status").returncode == 0
        box.process.send_signal(signal.SIGTERM)
        assert box.process.wait() == 0


def test_the_wheel_has_the_export_and_takes_nothing_from_the_checkout(script: Path, tmp_path: Path):
    shown = subprocess.run([script, "export", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--preset" in shown.stdout
    python = script.parent / "python"
    code = "import appliance, export; print(appliance.__file__); print(export.__file__)"
    where = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert all(str(script.parent.parent) in line for line in where.stdout.splitlines())


@pytest.mark.skipif(this_machine() is None, reason=f"no operators for {platform.machine()}")
def test_the_wheel_has_the_compiled_operators_and_not_their_sources(script: Path, tmp_path: Path):
    code = "from appliance.ops.library import HERE, library; print(HERE); print(library().digest)"
    python = script.parent / "python"
    shown = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    folder, digest = shown.stdout.splitlines()
    assert Path(folder).is_relative_to(script.parent.parent)
    assert digest == Record.of(ROOT / "appliance" / "ops").library
    assert not (Path(folder) / "source").exists()
    assert not (Path(folder) / "toolchain").exists()
    (wheel,) = script.parent.parent.parent.glob("*.whl")
    assert "-manylinux_2_28_" in wheel.name
