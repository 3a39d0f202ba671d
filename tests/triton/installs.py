"""Folders that look like an installed Triton, as far as finding it goes."""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.triton.locate import BACKEND_LIBRARY, STUB


def make_install(home: Path, *, minor: int = sys.version_info.minor, version: str | None = "2.71.0") -> Path:
    """Write NVIDIA's layout with a stub for Python 3.`minor`; returns `home`."""
    backend = home / "backends" / "python"
    backend.mkdir(parents=True)
    (home / "bin").mkdir()
    program = home / "bin" / "tritonserver"
    program.write_text("#!/bin/sh\necho '  --model-repository' >&2\nexit 1\n")
    program.chmod(0o755)
    (backend / BACKEND_LIBRARY).write_bytes(b"")
    (backend / STUB).write_bytes(b"\0libpython3.%d.so.1.0\0" % minor)
    (backend / "triton_python_backend_utils.py").write_text("")
    if version:
        (home / "TRITON_VERSION").write_text(f"{version}\n")
    return home
