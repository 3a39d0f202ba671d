"""The clients' own environments, made from their locks and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from appliance.layout import Layout
from tests.clients import calls
from tests.clients.client import Client

ROOT = Path(__file__).resolve().parents[2]
_NODE = Path(__file__).resolve().parent / "node"
_MADE_FROM = "made-from"


class Environment:
    """One virtual environment with exactly the wheels of one lock, and for Node.js, the packages of one more lock."""

    def __init__(self, lock: str) -> None:
        self._lock = ROOT / "requirements" / f"{lock}.lock"
        self._folder = Layout.from_environment(os.environ).cache / "tests" / "clients" / lock
        self._node = self._folder / "node"

    def command(self, client: Client) -> list[str]:
        """What makes the calls of one client; the environment is made if it is absent or out of date."""
        self._make([self._lock], self._folder, self._install)
        if not client.is_node:
            return [str(self._folder / "bin" / "python"), "-m", "tests.clients.python.run", client.file, client.package]
        self._make([self._lock, _NODE / "package-lock.json"], self._node, self._install_packages)
        # Node.js looks for packages beside the file that imports them.
        for file in _NODE.glob("*.mjs"):
            shutil.copy(file, self._node)
        return [
            str(self._folder / "bin" / "node"),
            str(self._node / "run.mjs"),
            client.file,
            client.package,
            *calls.CALLS,
        ]

    @staticmethod
    def _make(locks: Sequence[Path], folder: Path, install) -> None:
        digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks) + sys.version.encode()).hexdigest()
        stamp = folder / _MADE_FROM
        if not stamp.is_file() or stamp.read_text() != digest:
            print(f"Making {folder}", file=sys.stderr, flush=True)  # noqa: T201
            install()
            stamp.write_text(digest)

    def _install(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self._folder)], check=True)
        pip = [str(self._folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(self._lock)], check=True)

    def _install_packages(self) -> None:
        shutil.rmtree(self._node, ignore_errors=True)
        self._node.mkdir()
        for name in ["package.json", "package-lock.json"]:
            shutil.copy(_NODE / name, self._node)
        npm = [
            str(self._folder / "bin" / "npm"),
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]
        path = f"{self._folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(npm, check=True, cwd=self._node, env={**os.environ, "PATH": path})
