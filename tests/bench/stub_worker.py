"""A worker without an engine: says who it is, writes noise, or falls over, as the assignment's model says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.assignment import Assignment
from bench.workers.rim import work
from tests.bench.fakes import SteadyEngine


def load(assignment: Assignment) -> SteadyEngine:
    os.write(1, b"noise of a native library\n")
    if Path(assignment.model).read_text(encoding="utf-8") == "fall over":
        sys.exit("the last words")
    return SteadyEngine()


if __name__ == "__main__":
    work(load)
