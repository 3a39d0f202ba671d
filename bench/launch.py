"""Runs one worker at a time in a separate process and returns its result. Concurrent workers would share the cores."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.assignment import Assignment
from bench.engines import Engine
from bench.environments import ROOT
from bench.others import Others
from bench.workers.measure import Figures

_LIMIT_S = 1800.0
_PIECE_BYTES = 1 << 22
_LAST_LINES = 12


class WorkerFailedError(Exception):
    """A worker ended without a result; the message has the end of its log."""


@dataclass(frozen=True)
class Answer:
    """A worker's result.

    Attributes:
        figures: see `measure` and `compare`.
        versions: versions of the engine's libraries.
        others_cores: average number of cores that the rest of the machine kept busy meanwhile.
    """

    figures: Figures
    versions: dict[str, str]
    others_cores: float


def run_worker(engine: Engine, assignment: Assignment) -> Answer:
    """Run a worker until it ends; the files that it loads are in the page cache when it starts.

    Raises:
        WorkerFailedError: the worker failed or took too long.
    """
    for folder in filter(None, (assignment.model, assignment.packed)):
        read_through(Path(folder))
    others = Others()
    timed = dataclasses.replace(assignment, spawned_at=time.monotonic())
    try:
        ran = subprocess.run(
            [engine.environment.python, "-m", engine.module],
            input=timed.to_text(),
            capture_output=True,
            text=True,
            errors="replace",
            cwd=ROOT,
            env=engine.environment.variables(),
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkerFailedError(f"{engine.title} took longer than {_LIMIT_S:.0f} s") from error
    if ran.returncode != 0 or not ran.stdout.strip():
        tail = "\n".join(ran.stderr.strip().splitlines()[-_LAST_LINES:])
        raise WorkerFailedError(f"{engine.title} ended with status {ran.returncode}:\n{tail}")
    answer = json.loads(ran.stdout.strip().splitlines()[-1])
    return Answer(answer["figures"], answer["versions"], others.cores())


def read_through(model: Path) -> None:
    """Read a file, or each file of a folder, to load it into the page cache."""
    for path in sorted(model.rglob("*")) if model.is_dir() else [model]:
        if path.is_file():
            with path.open("rb", buffering=0) as stream:
                while stream.read(_PIECE_BYTES):
                    pass
