import importlib.metadata
import sys
from pathlib import Path

import pytest

from appliance.errors import MissingProgramError
from appliance.triton import locate as module
from appliance.triton.locate import locate, python_library
from appliance.triton.version import TritonVersion
from tests.refusals import refused
from tests.triton.installs import make_install


def _no_wheel(name: str):
    raise importlib.metadata.PackageNotFoundError(name)


def test_nvidias_install_comes_before_the_wheel(tmp_path: Path):
    home = make_install(tmp_path / "tritonserver")
    found = locate({"PATH": ""}, install=home)
    assert found.program == home / "bin" / "tritonserver"
    assert found.version == TritonVersion(2, 71)


def test_a_tritonserver_on_path_is_found(tmp_path: Path):
    home = make_install(tmp_path / "elsewhere", version=None)
    environ = {"PATH": f"/nowhere:{home / 'bin'}", "TRITON_SERVER_VERSION": "2.72.0"}
    found = locate(environ, install=tmp_path / "absent")
    assert found.program == home / "bin" / "tritonserver"
    assert found.version == TritonVersion(2, 72)


def test_an_install_that_does_not_say_its_version_is_asked_later(tmp_path: Path):
    assert locate({}, install=make_install(tmp_path / "t", version=None)).version is None


def test_the_wheel_is_found_without_importing_it(tmp_path: Path):
    found = locate({"PATH": ""}, install=tmp_path / "absent")
    assert found.origin.startswith("nvidia-pytriton")
    assert found.program.is_file()
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in found.stub.parts
    assert found.version == TritonVersion(2, 51)
    assert "pytriton" not in sys.modules


def test_without_any_triton_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module.importlib.metadata, "distribution", _no_wheel)
    monkeypatch.setattr(module, "install_command", lambda extra: f"how to install {extra}")
    with refused(MissingProgramError, "how to install triton"):
        locate({"PATH": str(tmp_path)}, install=tmp_path / "absent")


def test_a_stub_for_another_python_is_refused_with_the_version_to_use(tmp_path: Path):
    other = sys.version_info.minor + 1
    with refused(MissingProgramError, f"Python 3.{other}"):
        locate({}, install=make_install(tmp_path / "t", minor=other))


def test_an_install_without_the_python_backend_is_refused(tmp_path: Path):
    home = make_install(tmp_path / "t")
    (home / "backends" / "python" / module.BACKEND_LIBRARY).unlink()
    with refused(MissingProgramError, "has no"):
        locate({}, install=home)


def test_a_python_without_a_shared_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module.sysconfig, "get_config_var", lambda _name: str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    with refused(MissingProgramError, "shared library"):
        python_library()
