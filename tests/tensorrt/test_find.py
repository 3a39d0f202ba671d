"""Which TensorRT is taken, and what is said where none does."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from appliance import targets
from appliance.errors import MissingProgramError
from appliance.targets import VersionRange
from appliance.tensorrt.find import Flavour, TensorRt, find_tensorrt, load_tensorrt

ANY = VersionRange()


def installed(monkeypatch: pytest.MonkeyPatch, name: str, version: str) -> None:
    """Put a module in place of TensorRT that tells a version and has nothing else."""
    module = ModuleType(name)
    module.__dict__["__version__"] = version
    module.__spec__ = sys.__spec__
    monkeypatch.setitem(sys.modules, name, module)


def absent(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)


def test_the_wheels_are_found_where_nothing_else_is(rtx: TensorRt):
    found = find_tensorrt({Flavour.TENSORRT: ANY, Flavour.RTX: ANY})
    assert found == rtx
    assert str(found) == f"TensorRT for RTX {rtx.module.__version__}"


def test_the_wheels_of_the_lock_are_in_the_range_of_every_target_that_takes_them(rtx: TensorRt):
    ranges = [target.tensorrt_rtx for target in targets.targets().values() if target.tensorrt_rtx]
    assert ranges
    assert all(versions.covers(rtx.version) for versions in ranges)
    # Each of them must be one that TensorRT for RTX can be told to build for.
    kinds = rtx.module.ComputeCapability
    for target in targets.targets().values():
        name = f"SM{target.compute_capability.replace('.', '')}"
        assert hasattr(kinds, name) == (target.tensorrt_rtx is not None), target.name


def test_what_the_machine_was_set_up_with_is_preferred(monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch, "tensorrt", "10.15.1.29")
    found = find_tensorrt({Flavour.TENSORRT: VersionRange("10.15", "12"), Flavour.RTX: ANY})
    assert (found.flavour, found.version) == (Flavour.TENSORRT, "10.15.1.29")


@pytest.mark.parametrize("version", ["10.14.9", "12.0", "8.6.1", "10.16rc1"])
def test_too_old_too_new_and_unreadable_versions_are_refused_with_the_range(
    monkeypatch: pytest.MonkeyPatch, version: str
):
    installed(monkeypatch, "tensorrt", version)
    with pytest.raises(MissingProgramError, match=r"this target needs 10\.15 or newer, before 12") as caught:
        find_tensorrt({Flavour.TENSORRT: VersionRange("10.15", "12")})
    assert caught.value.message.startswith(f"TensorRT {version} is installed")
    assert "JetPack" in caught.value.hint
    assert caught.value.exit_code == 5


def test_another_that_is_in_range_is_taken_instead(monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch, "tensorrt", "8.6.1")
    found = find_tensorrt({Flavour.TENSORRT: VersionRange("10.15", "12"), Flavour.RTX: ANY})
    assert found.flavour is Flavour.RTX


def test_absence_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    absent(monkeypatch, "tensorrt")
    absent(monkeypatch, "tensorrt_rtx_bindings")
    with pytest.raises(MissingProgramError, match="TensorRT for RTX is not installed") as caught:
        find_tensorrt({Flavour.TENSORRT: ANY, Flavour.RTX: ANY})
    assert "tensorrt-rtx-cu13-libs" in caught.value.hint
    with pytest.raises(MissingProgramError, match=r"^TensorRT is not installed") as caught:
        find_tensorrt({Flavour.TENSORRT: ANY})
    assert "JetPack" in caught.value.hint


def test_a_target_without_any_is_refused():
    with pytest.raises(MissingProgramError, match="TensorRT does not support this target"):
        find_tensorrt({})


def test_libraries_that_cannot_be_loaded_are_told_from_absent_ones(monkeypatch: pytest.MonkeyPatch, tmp_path):
    (tmp_path / "tensorrt.py").write_text("import ctypes\nctypes.CDLL('libnvinfer.so.0')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingProgramError, match="is installed but cannot be loaded: libnvinfer"):
        load_tensorrt(Flavour.TENSORRT)
