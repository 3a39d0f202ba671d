from __future__ import annotations

import os
import platform
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import IntegrityError, MissingProgramError, UnsupportedError
from appliance.ops.library import library
from appliance.ops.machine import this_machine
from appliance.ops.record import LIBRARY, RECORD, Record
from appliance.ops.toolchain.build import build
from tests.ops.sources import warm_cache, write_sources

pytestmark = pytest.mark.skipif(this_machine() is None, reason=f"no operators for {platform.machine()}")


def _built(folder: Path, kernels: str) -> Path:
    write_sources(folder / "ops", kernels)
    machine = this_machine()
    assert machine is not None
    build(folder / "ops", warm_cache(folder / "cache"), machine, lambda _: None)
    return folder / "ops"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built(tmp_path_factory.mktemp("built"), "tiny")


@pytest.fixture
def ops(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "ops"))


def test_a_built_library_is_loaded_once(ops: Path):
    found = library(ops)
    assert found.kernels == "tiny"
    assert found.digest == Record.of(ops).library
    assert library(ops) is found


def test_what_is_loaded_cannot_be_changed_any_more(ops: Path):
    found = library(ops)
    (ops / LIBRARY).write_bytes(b"another")
    assert Path(found.path).read_bytes() != b"another"
    with pytest.raises(PermissionError):
        os.pwrite(int(Path(found.path).name), b"x", 0)


def test_a_missing_library_is_missing(ops: Path):
    (ops / LIBRARY).unlink()
    with pytest.raises(MissingProgramError):
        library(ops)


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_one_changed_byte_is_damage(ops: Path, where: str):
    content = bytearray((ops / LIBRARY).read_bytes())
    content[{"first": 0, "middle": len(content) // 2, "last": -1}[where]] ^= 1
    (ops / LIBRARY).write_bytes(content)
    with pytest.raises(IntegrityError):
        library(ops)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"library": 1}'], ids=["absent", "empty", "bare", "false"])
def test_a_damaged_record_is_damage(ops: Path, content: bytes | None):
    if content is None:
        (ops / RECORD).unlink()
    else:
        (ops / RECORD).write_bytes(content)
    with pytest.raises(IntegrityError):
        library(ops)


def test_other_sources_need_another_library(ops: Path):
    write_sources(ops, "newer")
    with pytest.raises(MissingProgramError):
        library(ops)


def test_without_sources_the_library_stands_for_itself(ops: Path):
    shutil.rmtree(ops / "source")
    assert library(ops).kernels == "tiny"


def test_a_library_for_another_target_is_missing(ops: Path):
    (ops / RECORD).write_bytes(replace(Record.of(ops), target="aarch64-linux-gnu.2.28").to_bytes())
    with pytest.raises(MissingProgramError):
        library(ops)


def test_another_platform_has_no_operators(ops: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(UnsupportedError):
        library(ops)


def test_a_cpu_without_kernels_has_no_operators(tmp_path: Path):
    with pytest.raises(UnsupportedError):
        library(_built(tmp_path, ""))
