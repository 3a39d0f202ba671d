"""Finds the compiled operators, checks their digest and loads them.

To load a library is to run its code. So the checked bytes are copied into sealed memory, and the library is loaded
from there: nobody can change the file between the check and the load.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from appliance.errors import IntegrityError, MissingProgramError, UnsupportedError
from appliance.ops.machine import this_machine
from appliance.ops.record import LIBRARY, SOURCES, Record, digest_of_sources

HERE = Path(__file__).resolve().parent
_BUILD = "run: make setup; without a checkout, install the wheel for this platform"
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@dataclass(frozen=True)
class Library:
    """The loaded operators.

    Attributes:
        path: what ONNX Runtime registers, `register_custom_ops_library(path)`; valid in this process only.
        digest: SHA-256 of the library, in hexadecimal.
        kernels: the name of the kernels that it chose for this CPU.
    """

    path: str
    digest: str
    kernels: str


@cache
def library(folder: Path = HERE) -> Library:
    """Check and load the operators, once in a process.

    Args:
        folder: where the library and its record are.

    Raises:
        UnsupportedError: there are no operators for this platform, or no kernels for this CPU: use the portable graph.
        MissingProgramError: the library was not built, or was built from other sources than those beside it.
        IntegrityError: the library or its record is damaged.
    """
    machine = this_machine()
    if machine is None:
        raise UnsupportedError(f"the operators have no kernels for {platform.machine()}")
    path = folder / LIBRARY
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingProgramError(f"the operators' library is missing: {path}", hint=_BUILD) from error
    record = Record.of(folder)
    record.check(content, path)
    sources = folder / SOURCES
    if sources.is_dir() and digest_of_sources(sources) != record.sources:
        raise MissingProgramError(f"the operators' library was built from other sources: {path}", hint=_BUILD)
    if record.target != machine.triple:
        raise MissingProgramError(f"the operators' library was built for {record.target}: {path}", hint=_BUILD)
    return _load(content, record, path)


def _load(content: bytes, record: Record, path: Path) -> Library:
    # It stays open as long as the process runs: ONNX Runtime opens the library by this path again.
    memory = os.memfd_create(LIBRARY, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(memory), "wb") as stream:
        stream.write(content)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
    loadable = f"/proc/self/fd/{memory}"
    try:
        loaded = ctypes.CDLL(loadable)
    except OSError as error:
        # Its bytes are right, so the machine is not: an older glibc, or none.
        raise UnsupportedError(f"this system cannot load the operators' library {path}: {error}") from error
    try:
        name = loaded.appliance_ops_kernels
        loaded.RegisterCustomOps  # noqa: B018
    except AttributeError as error:
        raise IntegrityError(f"the operators' library lacks a function: {path}", hint=_BUILD) from error
    name.restype = ctypes.c_char_p
    kernels = (name() or b"").decode()
    if not kernels:
        raise UnsupportedError("the operators have no kernels for this CPU")
    return Library(loadable, record.library, kernels)
