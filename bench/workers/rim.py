"""A worker's border with its parent: the plan from standard input, the result as one JSON line on standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.plan import Plan, Task
from bench.workers.measure import Figures, measure
from bench.workers.quality import compare
from bench.workers.subject import Subject

AnySubject = TypeVar("AnySubject", bound=Subject)


def work(load: Callable[[Plan], AnySubject], further: Callable[[AnySubject, Plan], Figures] | None = None) -> None:
    """Load the engine, do what the plan says, write the result; `further` measures what no other engine has."""
    # Native libraries write to descriptor 1 as they like: their lines go to the log, the result to the real one.
    answer = os.dup(1)
    os.dup2(2, 1)
    plan = Plan.from_text(sys.stdin.read())
    subject = load(plan)
    try:
        if plan.task is Task.SPEED:
            figures = measure(subject, plan)
            figures |= further(subject, plan) if further else {}
        else:
            figures = compare(subject, plan.texts, Path(plan.reference))
        result = {"versions": dict(subject.versions), "figures": figures}
    finally:
        subject.close()
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(result) + "\n")
