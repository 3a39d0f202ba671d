"""Measures all engines once, then again: a temporarily slow machine affects all engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from bench.assignment import Assignment, Task
from bench.engines import Engine
from bench.launch import Answer, WorkerFailedError
from bench.results import Measured

Run = Callable[[Engine, Assignment], Answer]
Say = Callable[[str], None]
# Returns an engine's assignment; raises AbsentError.
AssignmentFor = Callable[[Engine], Assignment]


class AbsentError(Exception):
    """An engine cannot be measured; the message has the reason."""


def measure_in_turn(
    engines: Sequence[Engine], assignment_for: AssignmentFor, rounds: int, *, with_quality: bool, run: Run, say: Say
) -> tuple[Measured, ...]:
    """Measure all engines `rounds` times in turn.

    Args:
        engines: in the order of the columns.
        assignment_for: returns an engine's assignment for a round; the first call may take long, to convert the model.
        rounds: number of rounds.
        with_quality: afterwards, compare the logits with the reference, for engines that return logits.
        run: runs one worker.
        say: receives messages.

    Returns:
        The figures of each engine. An engine that is absent or failed is not measured again; its result has the reason.
    """
    measured = {engine.key: Measured(engine.key, engine.title, engine.note) for engine in engines}
    assignments: dict[str, Assignment] = {}
    for engine in engines:
        assignment = _assignment(engine, assignment_for)
        if isinstance(assignment, Assignment):
            assignments[engine.key] = assignment
        else:
            say(f"{engine.title}: {assignment}")
            measured[engine.key] = dataclasses.replace(measured[engine.key], why_not=assignment)
    for number in range(rounds):
        for engine in engines:
            if measured[engine.key].why_not:
                continue
            say(f"round {number + 1} of {rounds}: {engine.title}")
            seeded = dataclasses.replace(assignments[engine.key], seed=number)
            measured[engine.key] = _one_round(measured[engine.key], engine, seeded, run, say)
    for engine in engines if with_quality else ():
        if engine.gives_logits and not measured[engine.key].why_not:
            say(f"quality: {engine.title}")
            asked = dataclasses.replace(assignments[engine.key], task=Task.QUALITY)
            measured[engine.key] = _quality(measured[engine.key], engine, asked, run, say)
    return tuple(measured.values())


def _assignment(engine: Engine, assignment_for: AssignmentFor) -> Assignment | str:
    """The engine's assignment, or the reason why it is absent."""
    try:
        return assignment_for(engine)
    except AbsentError as error:
        return f"absent: {error}"


def _one_round(so_far: Measured, engine: Engine, assignment: Assignment, run: Run, say: Say) -> Measured:
    try:
        answer = run(engine, assignment)
    except WorkerFailedError as error:
        say(str(error))
        return dataclasses.replace(so_far, why_not=f"failed: {str(error).splitlines()[0]}")
    return dataclasses.replace(
        so_far,
        rounds=(*so_far.rounds, answer.figures),
        versions=answer.versions,
        others_cores=(*so_far.others_cores, answer.others_cores),
    )


def _quality(so_far: Measured, engine: Engine, assignment: Assignment, run: Run, say: Say) -> Measured:
    try:
        return dataclasses.replace(so_far, quality=run(engine, assignment).figures)
    except WorkerFailedError as error:
        say(str(error))
        return so_far
