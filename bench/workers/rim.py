"""The interface of a worker: reads the assignment from standard input and writes the result to standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.assignment import Assignment, Task
from bench.workers.measure import Figures, measure
from bench.workers.quality import compare
from bench.workers.subject import Subject

AnySubject = TypeVar("AnySubject", bound=Subject)


def work(
    load: Callable[[Assignment], AnySubject], further: Callable[[AnySubject, Assignment], Figures] | None = None
) -> None:
    """Load the engine, run the assignment, write the result; `further` measures figures that only this engine has."""
    # Native libraries may write to descriptor 1: it now points to the log, and the result goes to the real output.
    answer = os.dup(1)
    os.dup2(2, 1)
    assignment = Assignment.from_text(sys.stdin.read())
    subject = load(assignment)
    try:
        if assignment.task is Task.SPEED:
            figures = measure(subject, assignment)
            figures |= further(subject, assignment) if further else {}
        else:
            figures = compare(subject, assignment.texts, Path(assignment.reference))
        result = {"versions": dict(subject.versions), "figures": figures}
    finally:
        subject.close()
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(result) + "\n")
