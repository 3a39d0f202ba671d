from __future__ import annotations

import ctypes
import errno
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path

import pytest

from appliance import disk, durable
from appliance.errors import ApplianceError, MissingProgramError, NoSpaceError
from appliance.ops.library import HERE
from appliance.ops.machine import ARM64, X86_64, Machine, this_machine
from appliance.ops.record import LIBRARY, RECORD, SOURCES, Record
from appliance.ops.toolchain import __main__ as command
from appliance.ops.toolchain.build import build
from appliance.ops.toolchain.zig import Zig
from tests.ops.sources import warm_cache, write_sources

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.skipif(this_machine() is None, reason=f"no operators for {platform.machine()}")


@pytest.fixture
def machine() -> Machine:
    found = this_machine()
    assert found is not None
    return found


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return warm_cache(tmp_path / "cache")


@pytest.fixture
def ops(tmp_path: Path) -> Path:
    write_sources(tmp_path / "ops")
    return tmp_path / "ops"


def _left(folder: Path) -> set[str]:
    """What a build left, besides the sources."""
    return {path.name for path in folder.iterdir()} - {"source"}


def test_a_build_happens_once_and_again_when_a_source_changes(ops: Path, cache: Path, machine: Machine):
    told: list[str] = []
    build(ops, cache, machine, told.append)
    assert len(told) == 1
    first = Record.of(ops)
    assert _left(ops) == {LIBRARY, RECORD}
    build(ops, cache, machine, told.append)
    # Another checkout with the same sources, and a library that was changed: the kept build is used.
    (ops / LIBRARY).write_bytes(b"damaged")
    build(ops, cache, machine, told.append)
    assert len(told) == 1
    assert Record.of(ops) == first
    first.check((ops / LIBRARY).read_bytes(), ops / LIBRARY)
    (ops / "source" / "tiny.h").write_text((ops / "source" / "tiny.h").read_text() + "// changed\n")
    build(ops, cache, machine, told.append)
    assert len(told) == 2
    assert Record.of(ops).sources != first.sources
    assert not (cache / "work").exists()


def test_two_builds_in_two_folders_give_the_same_bytes(ops: Path, cache: Path, machine: Machine, tmp_path: Path):
    other = tmp_path / "a longer name" / "ops"
    write_sources(other)
    build(ops, cache, machine, lambda _: None)
    build(other, warm_cache(tmp_path / "other cache"), machine, lambda _: None)
    content = (ops / LIBRARY).read_bytes()
    assert content == (other / LIBRARY).read_bytes()
    for folder in (tmp_path, Zig.find().home, cache.resolve()):
        assert os.fsencode(folder) not in content


def test_a_damaged_kept_build_is_made_again(ops: Path, cache: Path, machine: Machine):
    told: list[str] = []
    build(ops, cache, machine, told.append)
    recipe = Record.of(ops).recipe
    for folder in (ops, cache / recipe):
        (folder / LIBRARY).write_bytes(b"damaged")
    build(ops, cache, machine, told.append)
    assert len(told) == 2
    Record.of(ops).check((ops / LIBRARY).read_bytes(), ops / LIBRARY)


def test_it_exports_the_interface_alone_and_needs_only_the_old_glibc(ops: Path, cache: Path, machine: Machine):
    build(ops, cache, machine, lambda _: None)
    library = ctypes.CDLL(str(ops / LIBRARY))
    assert library.RegisterCustomOps
    assert not hasattr(library, "_Znwm"), "operator new would replace, or be replaced by, that of ONNX Runtime"
    needed = re.findall(rb"GLIBC_2\.(\d+)", (ops / LIBRARY).read_bytes())
    assert needed
    assert max(map(int, needed)) <= 28


@pytest.mark.parametrize("line", ['#error "unfinished"', "static int unused;"], ids=["error", "warning"])
def test_a_source_that_does_not_compile_is_one_line_and_leaves_nothing(
    ops: Path, cache: Path, machine: Machine, line: str
):
    write_sources(ops, first=line)
    with pytest.raises(ApplianceError, match=r"tiny\.cpp:1:") as caught:
        build(ops, cache, machine, lambda _: None)
    assert "\n" not in str(caught.value)
    assert line.split(maxsplit=1)[0] in (cache / "failed.log").read_text()
    assert _left(ops) == set()
    assert not (cache / "work").exists()


def test_a_function_that_is_nowhere_fails_at_the_link(ops: Path, cache: Path, machine: Machine):
    write_sources(ops, first="void nowhere(); void calls() { nowhere(); }")
    with pytest.raises(ApplianceError, match="nowhere"):
        build(ops, cache, machine, lambda _: None)
    assert _left(ops) == set()


def test_only_files_of_a_set_have_its_instructions(ops: Path, cache: Path, machine: Machine):
    check = "#ifndef {0}\n#error {0}\n#endif\n"
    (ops / "source" / "a_avx512.cpp").write_text(check.format("__AVX512VNNI__") + check.format("__FMA__"))
    (ops / "source" / "b_avx2.cpp").write_text(check.format("__AVX2__") + "#ifdef __AVX512F__\n#error wide\n#endif\n")
    (ops / "source" / "c_neon.cpp").write_text(check.format("__ARM_FEATURE_DOTPROD"))
    (ops / "source" / "d_x86.cpp").write_text(check.format("__x86_64__"))
    (ops / "source" / "e_arm.cpp").write_text(check.format("__aarch64__"))
    write_sources(ops, first="#ifdef __AVX__\n#error wide\n#endif\n")
    build(ops, cache, machine, lambda _: None)
    assert _left(ops) == {LIBRARY, RECORD}


# The C++ library of the other architecture takes a minute to compile, the first time.
@pytest.mark.native
@pytest.mark.parametrize(("target", "code"), [(X86_64, 0x3E), (ARM64, 0xB7)], ids=["x86-64", "arm64"])
def test_the_operators_compile_on_and_for_each_architecture(tmp_path: Path, cache: Path, target: Machine, code: int):
    shutil.copytree(HERE / SOURCES, tmp_path / "operators" / SOURCES)
    build(tmp_path / "operators", cache, target, lambda _: None)
    content = (tmp_path / "operators" / LIBRARY).read_bytes()
    assert content[18] == code, "e_machine of the ELF header"
    assert max(map(int, re.findall(rb"GLIBC_2\.(\d+)", content))) <= 28
    assert Record.of(tmp_path / "operators").target == target.triple


def test_what_the_user_set_for_other_compilers_does_not_count(
    ops: Path, cache: Path, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "string").write_text("#error foreign\n")
    monkeypatch.setenv("CPLUS_INCLUDE_PATH", str(tmp_path))
    build(ops, cache, machine, lambda _: None)


def test_a_missing_compiler_is_named(ops: Path, cache: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(MissingProgramError, match="ziglang"):
        build(ops, cache, machine, lambda _: None)


def test_a_full_disk_leaves_nothing(ops: Path, cache: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _: 0)
    with pytest.raises(NoSpaceError):
        build(ops, cache, machine, lambda _: None)
    assert _left(ops) == set()


class TestCommand:
    """`python -m appliance.ops.toolchain`."""

    def test_a_machine_without_kernels_is_told_so(self, monkeypatch: pytest.MonkeyPatch, capsys):
        monkeypatch.setattr(platform, "machine", lambda: "riscv64")
        assert command.main() == 0
        assert capsys.readouterr().err.count("\n") == 1

    @pytest.mark.parametrize(
        ("failure", "status"),
        [
            (MissingProgramError("no compiler", hint="install it"), 5),
            (OSError(errno.ENOSPC, "no space", "/somewhere"), 4),
            (PermissionError(errno.EACCES, "not yours", "/somewhere"), 14),
            (OSError(errno.EIO, "a bad disk", "/somewhere"), 1),
        ],
    )
    def test_a_failure_is_one_line_with_its_status(
        self, failure: Exception, status: int, monkeypatch: pytest.MonkeyPatch, capsys
    ):
        def fails(*_: object) -> None:
            raise failure

        monkeypatch.setattr(command, "build", fails)
        assert command.main() == status
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("error: ")


def test_a_crash_between_the_two_files_is_mended(
    ops: Path, cache: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    build(ops, cache, machine, lambda _: None)
    write_sources(ops, kernels="newer")
    real = durable.replace

    def dies(path: Path, content: bytes) -> None:
        if path == ops / RECORD:
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(durable, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        build(ops, cache, machine, lambda _: None)
    monkeypatch.setattr(durable, "replace", real)
    build(ops, cache, machine, lambda _: None)
    Record.of(ops).check((ops / LIBRARY).read_bytes(), ops / LIBRARY)


def test_the_wheel_and_the_checkout_use_one_compiler():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (pin,) = [line for line in project["project"]["optional-dependencies"]["dev"] if line.startswith("ziglang")]
    assert any(line.partition(";")[0] == pin for line in project["build-system"]["requires"])
