"""The conformance program of the kernels (`native/`), compiled in several ways and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.layout import Layout
from appliance.lock import locked
from appliance.ops import library
from appliance.ops.record import SOURCES, digest_of_sources
from appliance.ops.toolchain.zig import OPTIONS, Zig, units

_NATIVE = Path(__file__).resolve().parent / "native"
# What the kernels consist of; the other sources of the library need ONNX Runtime.
_OF_THE_LIBRARY = ("*.h", "*/*.h", "kernels*.cpp", "cpu*.cpp")
# A run of all tests uses six; other checkouts share the cache.
_MOST_KEPT = 18
_GCC = ("-O1", "-g1", "-std=c++17", "-ffp-contract=off", "-I.")
# The address sanitizer finds null pointers and the bounds of objects; these checks double the time of the compiler.
SANITIZERS = (
    "-fsanitize=address,undefined",
    "-fno-sanitize=null,alignment,object-size",
    "-fno-sanitize-recover=all",
)


def compiled(triple: str, *options: str) -> Path:
    """The program, by the toolchain's compiler with the library's options and these."""
    zig = Zig.find()
    kept = Layout.from_environment(os.environ).operators / f"zig-{zig.version}"

    def make(sources: Path, work: Path, program: Path) -> None:
        zig.link(zig.objects(sources, triple, work, kept, options), triple, options, program, kept)

    return _kept(make, [zig.name, triple, *options, OPTIONS])


def sanitized(compiler: str, triple: str) -> Path:
    """The program with the sanitizers of addresses and undefined behaviour, by an installed GCC."""
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout

    def make(sources: Path, work: Path, program: Path) -> None:
        found = units(sources, triple)
        objects = [work / f"{number}.o" for number in range(len(found))]
        commands = [
            [compiler, *_GCC, *SANITIZERS, *unit.instructions, "-c", str(unit.source), "-o", str(path)]
            for unit, path in zip(found, objects, strict=True)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(lambda command: subprocess.run(command, cwd=sources, check=True), commands):
                pass
        subprocess.run([compiler, *SANITIZERS, *map(str, objects), "-o", str(program)], check=True)

    return _kept(make, [version, triple, *_GCC, *SANITIZERS])


def _kept(make: Callable[[Path, Path, Path], None], inputs: list[str]) -> Path:
    """The program from the cache; `make(sources, work folder, program)` compiles it if a source or an input changed."""
    digests = [digest_of_sources(folder) for folder in (library.HERE / SOURCES, _NATIVE)]
    key = hashlib.sha256(json.dumps([*inputs, *digests]).encode()).hexdigest()
    cache = Layout.from_environment(os.environ).cache / "tests" / "ops"
    cache.mkdir(parents=True, exist_ok=True)
    program = cache / key
    with locked(cache / "lock"):
        if not program.exists():
            work = cache / "work"  # what an earlier, killed build left there goes
            shutil.rmtree(work, ignore_errors=True)
            sources = work / "sources"
            shutil.copytree(_NATIVE, sources / _NATIVE.name)
            for pattern in _OF_THE_LIBRARY:
                for path in (library.HERE / SOURCES).glob(pattern):
                    to = sources / path.relative_to(library.HERE / SOURCES)
                    to.parent.mkdir(exist_ok=True)
                    shutil.copyfile(path, to)
            make(sources, work, work / "conformance")
            (work / "conformance").replace(program)
            shutil.rmtree(work)
        program.touch()
        _remove_old(cache)
    return program


def _remove_old(cache: Path) -> None:
    """Remove the programs that were not used for the longest time."""
    programs = [path for path in cache.iterdir() if path.is_file() and os.access(path, os.X_OK)]
    for path in sorted(programs, key=lambda path: path.stat().st_mtime)[:-_MOST_KEPT]:
        path.unlink()
