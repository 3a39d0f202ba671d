"""Every set of kernels against scalar references: `native/conformance.cpp`."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.ops.machine import ARM64, X86_64, Machine, this_machine
from tests.ops.programs import SANITIZERS, compiled, sanitized

MACHINE = this_machine()
pytestmark = pytest.mark.skipif(MACHINE is None, reason=f"no operators for {platform.machine()}")
_MOST_SECONDS = 500
# CPUs of QEMU: Nehalem has SSE 4.2; Haswell has AVX2, FMA and F16C. QEMU has no AVX-512.
EMULATED = [
    ("Nehalem", "none"),
    ("Haswell", "avx2"),
    ("Haswell,-fma", "none"),
    ("Haswell,-avx2", "none"),
    ("Haswell,-f16c", "none"),
    ("Haswell,-xsave", "none"),
]
# `max` has the dot product; the Cortex-A72 (Raspberry Pi 4) does not have it.
EMULATED_ARM = [("max", "neon_dot"), ("cortex-a72", "none")]
# With musl a program is static: it needs no C library of arm64 beside the emulator.
ARM64_STATIC = "aarch64-linux-musl"


def _run(*command: str | Path) -> list[str]:
    """The lines of a program that finds no difference."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MOST_SECONDS)
    assert ended.returncode == 0, "\n".join([*ended.stdout.splitlines()[-3:], *ended.stderr.splitlines()[:40]])
    return ended.stdout.splitlines()


def _checked(lines: list[str]) -> set[str]:
    """The sets of kernels that ran."""
    return {line.partition(":")[0] for line in lines if line.endswith(": ok")} - {"choice"}


def _assert_all_ran(lines: list[str]) -> None:
    ran = _checked(lines)
    chosen = lines[0].removeprefix("chosen: ")
    assert (chosen in ran) if ran else (chosen == "none")
    # A CPU with one set of x86-64 has the plain one, too.
    if MACHINE == X86_64 and ran:
        assert "avx2" in ran


def _emulator(machine: Machine) -> str:
    name = "qemu-" + machine.triple.partition("-")[0]
    path = shutil.which(name) or shutil.which(f"{name}-static")
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install qemu-user)")
    return path


def test_all_kernels_of_this_cpu_have_the_bits_of_the_references():
    assert MACHINE is not None
    _assert_all_ran(_run(compiled(MACHINE.triple)))


# With sanitizers, the kernels take two minutes of CPU time to compile.
@pytest.mark.native
@pytest.mark.timeout(1200)
def test_no_kernel_leaves_its_arrays_or_has_undefined_behaviour():
    assert MACHINE is not None
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed, and the toolchain's compiler has no address sanitizer")
    if subprocess.run(
        [compiler, *SANITIZERS, "-xc++", "-", "-o", "/dev/null"],
        input=b"int main() {}",
        capture_output=True,
        check=False,
    ).returncode:
        pytest.skip("g++ has no libraries of the sanitizers")
    _assert_all_ran(_run(sanitized(compiler, MACHINE.triple)))


@pytest.mark.native
def test_no_kernel_of_arm_has_undefined_behaviour():
    emulator = _emulator(ARM64)
    # With traps, a program ends by a signal and needs no library of the sanitizer.
    program = compiled(ARM64_STATIC, "-O1", "-fsanitize=undefined", "-fsanitize-trap=undefined")
    assert _checked(_run(emulator, "-cpu", "max", program)) == {"neon_dot"}


# Emulated, the kernels take minutes.
@pytest.mark.native
@pytest.mark.skipif(MACHINE != X86_64, reason="the emulator of x86-64 needs the C library of x86-64")
@pytest.mark.parametrize(("cpu", "kernels"), EMULATED)
def test_the_choice_on_emulated_x86_cpus(cpu: str, kernels: str):
    lines = _run(_emulator(X86_64), "-cpu", cpu, compiled(X86_64.triple))
    assert lines[0] == f"chosen: {kernels}"
    assert _checked(lines) == {kernels} - {"none"}


@pytest.mark.usefixtures("ops_library")
@pytest.mark.skipif(MACHINE != X86_64, reason="this Python is not for x86-64")
@pytest.mark.parametrize(("cpu", "kernels"), [("Nehalem", "none"), ("Haswell", "avx2")])
def test_the_built_library_chooses_on_emulated_x86_cpus(cpu: str, kernels: str):
    program = (
        "import ctypes\n"
        "from appliance.errors import UnsupportedError\n"
        "from appliance.ops.library import HERE, LIBRARY, library\n"
        "ctypes.CDLL(str(HERE / LIBRARY))  # it loads everywhere\n"
        "try: print(library().kernels)\n"
        "except UnsupportedError: print('none')\n"
    )
    assert _run(_emulator(X86_64), "-cpu", cpu, sys.executable, "-c", program) == [kernels]


# Emulated, the kernels take minutes.
@pytest.mark.native
@pytest.mark.parametrize(("cpu", "kernels"), EMULATED_ARM)
def test_the_kernels_of_arm_on_emulated_cpus(cpu: str, kernels: str):
    emulator = _emulator(ARM64)
    lines = _run(emulator, "-cpu", cpu, compiled(ARM64_STATIC))
    assert lines[0] == f"chosen: {kernels}"
    assert _checked(lines) == {kernels} - {"none"}
