"""clang-tidy finds nothing in the operators' sources. `.clang-tidy` beside them lists the checks."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.ops.library import HERE
from appliance.ops.machine import this_machine
from appliance.ops.toolchain.zig import Zig

SOURCES = HERE / "source"
# All at once: a source that may use fewer of them does not fail for it.
INSTRUCTIONS = [
    "-mamx-tile",
    "-mamx-int8",
    "-mamx-bf16",
    "-mavx512bf16",
    "-mavx512f",
    "-mavx512bw",
    "-mavx512vl",
    "-mavx512dq",
    "-mavx512vnni",
    "-mavx2",
    "-mfma",
    "-mf16c",
]


def _of_the_compiler(home: Path) -> list[str]:
    """The compiler's headers and macros of its C++ library: there need be no others on this machine."""
    machine, zig = this_machine(), Zig.find()
    assert machine is not None
    asked = [str(zig.program), "c++", "-target", machine.triple, "-E", "-x", "c++", os.devnull]
    environment = {"PATH": os.defpath, "HOME": str(home)}
    told = subprocess.run([*asked, "-v", "-dM"], env=environment, capture_output=True, text=True, check=True)
    begin, end = told.stderr.index("search starts here:\n"), told.stderr.index("End of search list")
    folders = [
        str(Path(line.strip()).absolute()) for line in told.stderr[begin:end].splitlines() if line.startswith(" ")
    ]
    # clang-tidy has its own headers of the compiler, which belong to its version.
    includes = [word for path in folders if not path.endswith("ziglang/lib/include") for word in ("-isystem", path)]
    macros = [
        line.split(maxsplit=2)[1:] for line in told.stdout.splitlines() if "_LIBCPP_" in line or "__GLIBC_M" in line
    ]
    return ["-nostdinc++", *includes, *(f"-D{name}={value[0] if value else ''}" for name, *value in macros)]


@pytest.mark.native
@pytest.mark.skipif(this_machine() is None, reason="no operators for this machine")
def test_clang_tidy_finds_nothing(tmp_path: Path):
    tidy = Path(sys.executable).parent / "clang-tidy"
    options = ["-std=c++17", "-I.", "-target", "x86_64-linux-gnu", *INSTRUCTIONS, *_of_the_compiler(tmp_path)]

    def found(source: Path) -> str:
        command = [str(tidy), "--quiet", str(source.relative_to(SOURCES)), "--", *options]
        ended = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
        return ended.stdout if ended.returncode else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        assert (
            "".join(
                pool.map(
                    found,
                    sorted(source for source in SOURCES.rglob("*.cpp") if not source.stem.endswith(("_arm", "_neon"))),
                )
            )
            == ""
        )
