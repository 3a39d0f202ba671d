"""Keeps foreign modules out of our programs: those of PYTHONPATH and of the folder that a program was started in.

It imports only what every Python has loaded before it runs a line of ours, and must be imported before all else.
"""

from __future__ import annotations

import os
import sys

_PREFIX = "PYTHON"


def isolate() -> None:
    """Take PYTHONPATH's folders and the current one off the path, and PYTHON* variables from our children.

    What Python runs before us is beyond us: PYTHONHOME, a `sitecustomize`, a folder named `appliance` with `-m`. The
    folder that this very package comes from stays: a working copy is run in place.
    """
    ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - pathlib may be foreign
    foreign = {_real(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder}
    foreign = (foreign | {_real(os.curdir)}) - {ours}
    sys.path[:] = [folder for folder in sys.path if _real(folder or os.curdir) not in foreign]
    for name in [name for name in os.environ if name.startswith(_PREFIX)]:
        del os.environ[name]


def _real(folder: str) -> str:
    return os.path.realpath(folder)
