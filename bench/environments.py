"""The Python environments of workers: our own, and separate ones of the peers. It installs nothing."""

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
        name: its folder's name, for messages; empty for our own.
        python: path of its interpreter, which need not exist.
    """

    name: str
    python: Path

    def versions(self, packages: Sequence[str]) -> Mapping[str, str]:
        """Versions of the given packages that are installed here; empty if the environment does not exist."""
        if not self.python.exists():
            return {}
        ran = subprocess.run([self.python, "-c", _VERSIONS, *packages], capture_output=True, text=True, check=True)
        found: Mapping[str, str] = json.loads(ran.stdout)
        return found

    def missing(self, packages: Sequence[str]) -> str:
        """The reason why not all packages can be used; empty if they can."""
        absent = sorted(set(packages) - set(self.versions(packages)))
        if not absent:
            return ""
        return f"{', '.join(absent)} not installed in {self.name or 'this environment'}"

    def variables(self) -> Mapping[str, str]:
        """The environment variables of its processes: they can import `bench`, and telemetry is off.

        All engines get the heap settings that the appliance uses for itself.
        """
        return with_huge_pages({**os.environ, "PYTHONPATH": str(ROOT), "NNCF_CI": "1", "HF_HUB_OFFLINE": "1"})


OWN = Environment("", Path(sys.executable))
PEERS = Environment(".venv-bench", ROOT / ".venv-bench" / "bin" / "python")
# Contains torch and transformers, which ONNX Runtime GenAI's Model Builder needs, and no engine.
ORACLE = Environment(".venv-oracle", ROOT / ".venv-oracle" / "bin" / "python")
