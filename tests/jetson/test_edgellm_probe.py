"""The probe tells honestly how far Edge-LLM comes up; packages that fail as the real one cannot be made to stand in."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.edgellm import State, probe

FINDS = "class Found:\n    gpu_sm = 87\ndef detect_platform():\n    return Found()\n"
LOADS = "def load():\n    print('the library says hello')\n"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An empty virtual environment; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    return tmp_path / "env" / "bin" / "python"


def _install(python: Path, *, version: str = "0.11.0", runtime: str = LOADS, detect: str = FINDS) -> None:
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    files = {
        "tensorrt_edgellm-0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tensorrt-edgellm\nVersion: {version}\n",
        "tensorrt_edgellm/__init__.py": "",
        "tensorrt_edgellm/runtime.py": runtime,
        "tensorrt_edgellm/_native/__init__.py": "",
        "tensorrt_edgellm/_native/detect.py": detect,
        "experimental/server/__init__.py": "",
    }
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)


def test_no_environment_and_one_without_the_package_have_it_not_installed(environment: Path, tmp_path: Path):
    assert str(probe(tmp_path / "nowhere" / "python")) == "not installed"
    assert probe(environment).state is State.NOT_INSTALLED


def test_a_package_that_loads_says_on_which_gpu_and_that_nothing_is_delegated_yet(environment: Path):
    _install(environment)
    found = probe(environment)
    assert (found.state, found.version, found.gpu, found.reason) == (State.LOADS, "0.11.0", "sm_87", "")
    assert str(found) == "version 0.11.0 loads on sm_87; no request is delegated to it yet"


def test_a_machine_without_gpu_has_the_package_s_own_reason(environment: Path):
    _install(environment, detect="def detect_platform():\n    raise RuntimeError('no CUDA\\n device')\n")
    found = probe(environment)
    assert (found.state, found.version, found.gpu) == (State.CANNOT_LOAD, "0.11.0", "")
    assert str(found) == "installed, cannot load: RuntimeError: no CUDA device"


def test_a_library_that_does_not_load_keeps_the_gpu_that_was_found(environment: Path):
    _install(environment, runtime="def load():\n    raise OSError('libnvinfer.so.10 is missing')\n")
    found = probe(environment)
    assert (found.state, found.gpu) == (State.CANNOT_LOAD, "sm_87")
    assert found.reason == "OSError: libnvinfer.so.10 is missing"


def test_another_version_is_not_taken_for_the_known_one(environment: Path):
    _install(environment, version="0.12.0")
    found = probe(environment)
    assert found.state is State.CANNOT_LOAD
    assert found.reason == "it is version 0.12.0; the appliance supports only 0.11.0"


def test_a_library_that_dies_while_it_loads_is_an_answer(environment: Path):
    _install(environment, runtime="import os, signal\ndef load():\n    os.kill(os.getpid(), signal.SIGSEGV)\n")
    found = probe(environment)
    assert found.state is State.CANNOT_LOAD
    assert found.reason == "its Python ended with status -11 while it loaded"


def test_a_library_that_hangs_is_an_answer(environment: Path, monkeypatch: pytest.MonkeyPatch):
    _install(environment, runtime="import time\ndef load():\n    time.sleep(600)\n")
    monkeypatch.setattr(importlib.import_module("appliance.edgellm.probe"), "TIMEOUT_S", 1.0)
    assert probe(environment).reason == "it did not load within 1 s"


def test_what_is_no_python_is_an_answer(tmp_path: Path):
    (tmp_path / "python").write_text("not a program")
    assert probe(tmp_path / "python").state is State.CANNOT_LOAD
