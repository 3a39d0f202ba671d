"""Finds a Triton on this machine: first NVIDIA's own installation, then the server in the nvidia-pytriton wheel.

It does not import the wheel and starts no program.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import MissingProgramError
from appliance.extras import install_command
from appliance.triton.version import TritonVersion

NVIDIA_INSTALL = Path("/opt/tritonserver")
WHEEL = "nvidia-pytriton"
# The wheel does not state the version of its server; its changelog does.
WHEEL_SERVERS = {"0.7.0": TritonVersion(2, 51)}
STUB = "triton_python_backend_stub"
BACKEND_LIBRARY = "libtriton_python.so"
_STUB_PYTHON = re.compile(rb"libpython3\.(\d+)\.so")


@dataclass(frozen=True)
class Installation:
    """A Triton on this machine.

    Attributes:
        origin: "NVIDIA install" or "nvidia-pytriton 0.7.0".
        program: the tritonserver executable.
        backend: the folder of the Python backend.
        stub: the program that runs Python models, built for the running Python.
        libraries: folders that the dynamic linker must search, beside Python's own.
        version: the server's version; None when only the running server can report it.
    """

    origin: str
    program: Path
    backend: Path
    stub: Path
    libraries: tuple[Path, ...]
    version: TritonVersion | None


def locate(environ: Mapping[str, str], install: Path = NVIDIA_INSTALL) -> Installation:
    """Find a Triton that can run the box's models.

    Args:
        environ: environment variables; PATH is searched.
        install: where NVIDIA's containers and tarballs put Triton.

    Raises:
        MissingProgramError: there is no Triton, or its Python backend does not fit the running Python.
    """
    found = _installed(install, environ) or _from_wheel()
    if found is None:
        raise MissingProgramError(
            "NVIDIA Triton is not installed",
            hint=f"for development: {install_command('triton')}; in production use NVIDIA's container or tarball "
            "(/opt/tritonserver)",
        )
    _check_python(found)
    return found


def python_library() -> Path:
    """The shared library of the running Python, which Triton's stub links to.

    Raises:
        MissingProgramError: this Python was built without one.
    """
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    library = sysconfig.get_config_var("LIBDIR") or ""
    folders = [
        Path(library),
        Path(library) / str(sysconfig.get_config_var("MULTIARCH") or ""),
        Path(sys.base_prefix) / "lib",
    ]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise MissingProgramError(
        f"this Python has no shared library {name}; Triton's Python backend needs it",
        hint="use a Python built with --enable-shared (python.org's and uv's are), or on Debian install "
        f"libpython{sys.version_info.major}.{sys.version_info.minor}",
    )


def _installed(install: Path, environ: Mapping[str, str]) -> Installation | None:
    program = install / "bin" / "tritonserver"
    if not program.is_file():
        on_path = shutil.which("tritonserver", path=environ.get("PATH", ""))
        if on_path is None:
            return None
        program = Path(on_path).resolve()
    home = program.parent.parent
    backend = home / "backends" / "python"
    return Installation(
        origin="NVIDIA install",
        program=program,
        backend=backend,
        stub=backend / STUB,
        libraries=(home / "lib",),
        version=_installed_version(home, environ),
    )


def _installed_version(home: Path, environ: Mapping[str, str]) -> TritonVersion | None:
    """Read the version from NVIDIA's file or environment variable; builds from source may have neither."""
    try:
        return TritonVersion.from_text((home / "TRITON_VERSION").read_text(encoding="utf-8"))
    except (OSError, MissingProgramError):
        stated = environ.get("TRITON_SERVER_VERSION")
        return TritonVersion.from_text(stated) if stated else None


def _from_wheel() -> Installation | None:
    try:
        wheel = importlib.metadata.distribution(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return None
    packages = Path(str(wheel.locate_file("")))
    home = packages / "pytriton" / "tritonserver"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Installation(
        origin=f"{WHEEL} {wheel.version}",
        program=home / "bin" / "tritonserver",
        backend=home / "backends" / "python",
        stub=home / "python_backend_stubs" / python / STUB,
        libraries=(packages / "nvidia_pytriton.libs",),
        version=WHEEL_SERVERS.get(wheel.version),
    )


def _check_python(found: Installation) -> None:
    for path in (found.program, found.backend / BACKEND_LIBRARY, found.stub):
        if not path.is_file():
            raise MissingProgramError(
                f"the Triton of {found.origin} has no {path}",
                hint="install it again with its Python backend, for a Python that it supports",
            )
    linked = _STUB_PYTHON.search(found.stub.read_bytes())
    if linked and int(linked[1]) != sys.version_info.minor:
        raise MissingProgramError(
            f"the Triton of {found.origin} needs Python 3.{int(linked[1])}, but this is Python "
            f"3.{sys.version_info.minor}",
            hint=f"create the appliance's environment with Python 3.{int(linked[1])}",
        )
