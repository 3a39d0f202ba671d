"""Prepares tritonserver's backend folder and environment variables."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from appliance.errors import UsageError
from appliance.heap import with_huge_pages
from appliance.triton.locate import STUB, Installation, python_library

# These variables could point the stub's Python outside the virtual environment, or change its behaviour.
_DROPPED_PREFIX = "PYTHON"
_SEPARATOR = ":"


def prepare_backends(installation: Installation, folder: Path) -> Path:
    """Fill `folder` with links to the Python backend and the stub of the running Python; returns it.

    The folder contains no other backend, so Triton can load no other. A correct folder is not written again: a server
    can be restarted while the disk is full.
    """
    python = folder / "python"
    links = {python / path.name: path for path in installation.backend.iterdir() if path.is_file()}
    links[python / STUB] = installation.stub
    found = {path: path.readlink() if path.is_symlink() else None for path in folder.rglob("*") if path != python}
    if found != links:
        shutil.rmtree(folder, ignore_errors=True)
        python.mkdir(parents=True)
        for link, path in links.items():
            link.symlink_to(path)
    return folder


def server_environment(installation: Installation, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables for tritonserver.

    The stub finds its packages through the first `python3` on PATH, and its libpython through LD_LIBRARY_PATH. The stub
    holds the weights, so its heap uses huge pages.

    Raises:
        MissingProgramError: the running Python has no shared library.
        UsageError: one of the folders has a name that these variables cannot hold.
    """
    prepared = {name: value for name, value in environ.items() if not name.startswith(_DROPPED_PREFIX)}
    # The names of folders are UTF-8, independent of the locale.
    prepared["PYTHONUTF8"] = "1"
    programs, libraries = Path(sys.executable).parent, [*installation.libraries, python_library().parent]
    for folder in (programs, *libraries):
        if _SEPARATOR in str(folder):
            raise UsageError(
                f"{folder} has a colon in its name, but the colon separates the folders in PATH",
                hint="create the appliance's environment in another folder",
            )
    prepared["PATH"] = _join(str(programs), environ.get("PATH", ""))
    prepared["LD_LIBRARY_PATH"] = _join(*map(str, libraries), environ.get("LD_LIBRARY_PATH", ""))
    return with_huge_pages(prepared)


def _join(*parts: str) -> str:
    return _SEPARATOR.join(part for part in parts if part)
