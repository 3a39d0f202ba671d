"""The interpreters that workers run under: our own, and the peers' in their own environments. It installs nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.heap import with_huge_pages

ROOT = Path(__file__).resolve().parent.parent

_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Environment:
    """One Python environment.

    Attributes:
        name: its folder, for people; empty for our own.
        python: its interpreter, which need not exist.
    """

    name: str
    python: Path

    def versions(self, packages: Sequence[str]) -> Mapping[str, str]:
        """Versions of those packages that are installed here; empty if there is no such environment."""
        if not self.python.exists():
            return {}
        ran = subprocess.run([self.python, "-c", _VERSIONS, *packages], capture_output=True, text=True, check=True)
        found: Mapping[str, str] = json.loads(ran.stdout)
        return found

    def missing(self, packages: Sequence[str]) -> str:
        """Why not all packages can be used, for people; empty if they can."""
        absent = sorted(set(packages) - set(self.versions(packages)))
        if not absent:
            return ""
        return f"{', '.join(absent)} not installed in {self.name or 'this environment'}"

    def variables(self) -> Mapping[str, str]:
        """The environment variables of its processes: they find `bench`, and report nothing to anyone.

        What the appliance does for its own heap is done for everybody's.
        """
        return with_huge_pages({**os.environ, "PYTHONPATH": str(ROOT), "NNCF_CI": "1", "HF_HUB_OFFLINE": "1"})


OWN = Environment("", Path(sys.executable))
PEERS = Environment(".venv-bench", ROOT / ".venv-bench" / "bin" / "python")
# Has torch and transformers, which ONNX Runtime GenAI's Model Builder needs and no engine does.
ORACLE = Environment(".venv-oracle", ROOT / ".venv-oracle" / "bin" / "python")
