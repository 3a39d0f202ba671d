"""Compiles the operators if they changed, and keeps each result in the cache under the digest of its inputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from appliance import durable
from appliance.disk import Need, check_space
from appliance.errors import IntegrityError
from appliance.lock import locked
from appliance.ops.machine import Machine
from appliance.ops.record import LIBRARY, RECORD, SOURCES, Record, digest_of_sources
from appliance.ops.toolchain.zig import OPTIONS, Zig

# CPU time, measured: the C++ library (once for each version of zig), and the operators.
_CXX_LIBRARY_CPU_S = 60
_OPERATORS_CPU_S = 40
_WORK_BYTES = 200_000_000


def build(ops: Path, cache: Path, machine: Machine, tell: Callable[[str], None]) -> None:
    """Put the library and its record beside the sources: compiled, or from the cache. Does nothing if they are there.

    Args:
        ops: the folder with the sources in `source/`.
        cache: the folder of kept builds.
        machine: what to compile for.
        tell: receives one line if something is compiled.

    Raises:
        MissingProgramError: the compiler is not installed.
        NoSpaceError: the disk is too small.
        ApplianceError: the sources do not compile.
    """
    zig = Zig.find()
    sources = digest_of_sources(ops / SOURCES)
    recipe = hashlib.sha256(json.dumps([sources, OPTIONS, zig.name, machine.triple]).encode()).hexdigest()
    if _is_intact(ops, recipe):
        return
    entry = cache / recipe
    with locked(cache / "lock", waiting=lambda: tell("Waiting for another build of the operators")):
        if not _is_intact(entry, recipe):
            content = _compile(ops / SOURCES, cache, zig, machine, tell)
            record = Record(recipe, sources, hashlib.sha256(content).hexdigest(), zig.name, machine.triple)
            _put(entry, content, record)
    _put(ops, (entry / LIBRARY).read_bytes(), Record.of(entry))


def _is_intact(folder: Path, recipe: str) -> bool:
    with suppress(FileNotFoundError, IntegrityError):
        record = Record.of(folder)
        record.check((folder / LIBRARY).read_bytes(), folder / LIBRARY)
        return record.recipe == recipe
    return False


def _put(folder: Path, library: bytes, record: Record) -> None:
    # A crash between the two leaves a library that does not match its record: the next build replaces both.
    durable.replace(folder / LIBRARY, library)
    durable.replace(folder / RECORD, record.to_bytes())


def _compile(sources: Path, cache: Path, zig: Zig, machine: Machine, tell: Callable[[str], None]) -> bytes:
    kept = cache / f"zig-{zig.version}"
    cpu_s = _OPERATORS_CPU_S + (0 if kept.is_dir() else _CXX_LIBRARY_CPU_S)
    tell(f"Building the operators for {machine.name} (about {cpu_s // (os.cpu_count() or 1) + 1} s)")
    check_space([Need("build the operators", cache, _WORK_BYTES)], "choose another folder with APPLIANCE_CACHE")
    with _empty(cache / "work") as work:
        content = zig.library(sources.absolute(), machine.triple, work, kept).read_bytes()
    # Four fifths of what zig keeps are of no use to a later build.
    shutil.rmtree(kept / "z", ignore_errors=True)
    return content


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """An empty folder while the block runs; also if an earlier build was killed. The caller has the lock."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
