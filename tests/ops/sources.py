"""A tiny library with the interface of the operators, and a cache that has the compiled C++ library already."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.layout import Layout
from appliance.ops.toolchain.zig import Zig


def write_sources(ops: Path, kernels: str = "tiny", first: str = "") -> None:
    """Write `source/tiny.cpp` below `ops`; `first` is its first line."""
    (ops / "source").mkdir(parents=True, exist_ok=True)
    (ops / "source" / "tiny.h").write_text('#define VISIBLE extern "C" __attribute__((visibility("default")))\n')
    (ops / "source" / "tiny.cpp").write_text(
        f'{first}\n#include "tiny.h"\n'
        "VISIBLE void* RegisterCustomOps(void*, const void*) { return new int; }\n"
        f'VISIBLE const char* appliance_ops_kernels() {{ return "{kernels}"; }}\n'
        "__attribute__((used)) static const char where[] = __FILE__;\n"
    )


def warm_cache(folder: Path) -> Path:
    """A cache without builds. The C++ library is that of `make setup`: it takes a minute to compile."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"zig-{Zig.find().version}"
    compiled = Layout.from_environment(os.environ).operators / name
    compiled.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(compiled)
    return folder
