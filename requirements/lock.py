"""Writes the lock files with uv, or with `--check` tells, offline, whether they still belong to pyproject.toml.

No lock names an index: the user's pip decides where wheels come from, the hashes decide which are right.
"""  # noqa: INP001

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
PYPROJECT = HERE.parent / "pyproject.toml"
OLDEST_PYTHON = "3.10"


@dataclass(frozen=True)
class Lock:
    """One lock file.

    Attributes:
        name: its file name.
        extras: which extras of pyproject.toml it covers.
        has_run_time: whether it covers the run time too.
        has_dependencies: whether it covers what its packages bring along.
        without: packages of the run time that others stand in for.
    """

    name: str
    extras: tuple[str, ...] = ()
    has_run_time: bool = True
    has_dependencies: bool = True
    without: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it is."""
        return HERE / self.name

    def inputs(self, project: dict[str, Any]) -> list[str]:
        """The requirements of pyproject.toml that it covers."""
        run_time = project["dependencies"] if self.has_run_time else []
        found = [line for line in run_time if re.split(r"[<>=;~! ]", line)[0] not in self.without]
        return found + [line for extra in self.extras for line in project["optional-dependencies"][extra]]

    def header(self, project: dict[str, Any]) -> str:
        """The line of its header that binds it to its requirements."""
        digest = hashlib.sha256(json.dumps([project["requires-python"], self.inputs(project)]).encode()).hexdigest()
        return f"make lock  (requirements {digest[:16]})"


LOCKS = (
    # A box without the checkout: what the wheel brings with the extras that it exports and serves with. It is also the
    # proof that these extras go together.
    Lock("box.lock", ("export", "triton")),
    # TensorRT parses and builds without a GPU, so the tests have it.
    Lock("dev.lock", ("export", "dev", "tensorrt")),
    # Only the server inside the wheel is used: what its Python package needs is not installed.
    Lock("triton.lock", ("triton",), has_run_time=False, has_dependencies=False),
    # A machine with an NVIDIA GPU, tests included. CUDA's libraries are apart: many machines have them.
    Lock("cuda.lock", ("export", "dev", "tensorrt", "cuda"), without=("onnxruntime",)),
    Lock("cuda-libraries.lock", ("cuda-libraries",), has_run_time=False),
    Lock("oracle.lock", ("export", "oracle")),
    # The peers must not decide which numpy or ONNX Runtime we use, nor we theirs.
    Lock("bench.lock", ("bench",), has_run_time=False),
    # Nor must the clients that people use.
    *(
        Lock(f"{clients}.lock", (clients,), has_run_time=False)
        for clients in (
            "clients-sdks",
            "clients-older-sdks",
            "clients-kernel",
            "clients-aiperf",
            "clients-aider",
            "clients-node",
        )
    ),
)


def write(lock: Lock, project: dict[str, Any]) -> None:
    """Resolve the newest versions that fit and write them with their hashes."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--upgrade"]
    command += ["--python-version", OLDEST_PYTHON, "--custom-compile-command", lock.header(project)]
    command += ["--output-file", str(lock.path), *([] if lock.has_dependencies else ["--no-deps"]), "-"]
    lines = "\n".join(lock.inputs(project)) + "\n"
    subprocess.run(command, input=lines, text=True, check=True, cwd=PYPROJECT.parent)


def faults(lock: Lock, project: dict[str, Any]) -> list[str]:
    """What is wrong with the lock file, as sentences."""
    if not lock.path.is_file():
        return [f"{lock.name} is missing"]
    text = lock.path.read_text(encoding="utf-8")
    found = []
    if lock.header(project) not in text:
        found.append(f"{lock.name} was made for other requirements than those of pyproject.toml")
    if "://" in text or "--index" in text or "--find-links" in text:
        found.append(f"{lock.name} names a place that packages come from")
    if "oracle" not in lock.extras and "\ntorch==" in text:
        found.append(f"{lock.name} brings torch")
    return found


def main() -> int:
    """Write the locks, or check them; returns the exit status."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    if "--check" not in sys.argv[1:]:
        for lock in LOCKS:
            write(lock, project)
    found = [fault for lock in LOCKS for fault in faults(lock, project)]
    sys.stderr.writelines(f"{fault}; run: make lock\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
