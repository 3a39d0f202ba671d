"""Keeps foreign modules out of our programs: modules from PYTHONPATH and from the current folder.

It imports only modules that Python has already loaded at its start, and must be imported first.
"""

from __future__ import annotations

import os
import sys

_PREFIX = "PYTHON"


def isolate() -> None:
    """Remove PYTHONPATH's folders and the current folder from sys.path, and PYTHON* variables for child processes.

    Code that Python runs earlier is out of reach: PYTHONHOME, a `sitecustomize`, a folder named `appliance` with `-m`.
    The folder of this package stays on the path, because a working copy runs in place.
    """
    ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - pathlib may be foreign
    foreign = {_real(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder}
    foreign = (foreign | {_real(os.curdir)}) - {ours}
    sys.path[:] = [folder for folder in sys.path if _real(folder or os.curdir) not in foreign]
    for name in [name for name in os.environ if name.startswith(_PREFIX)]:
        del os.environ[name]


def _real(folder: str) -> str:
    return os.path.realpath(folder)
