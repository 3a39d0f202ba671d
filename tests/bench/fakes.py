"""An engine of known speed and figures of a known run, behind the seams that the bench has anyway."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.assignment import Assignment, Task, Work
from bench.results import Measured, Results, Table
from bench.targets import TARGETS_OF
from bench.workers.arrivals import Arrival
from bench.workers.timeline import Timeline

STEP_S = 0.25
WORK = Work(
    streams=(1, 3),
    prompt_tokens=5,
    decode_tokens=4,
    prefill_tokens=(10, 20),
    short_tokens=3,
    busy_streams=2,
    repeats=3,
    slots=4,
    context_tokens=32,
)


def assignment(work: Work = WORK, task: Task = Task.SPEED) -> Assignment:
    return Assignment(task, "/model", 2, seed=1, corpus=tuple(range(100, 200)), spawned_at=time.monotonic(), work=work)


class SteadyEngine:
    """Takes STEP_S for each prompt token and for each step, by its own account; remembers what it was asked."""

    takes_newcomers = True
    spawned_at: float | None = None
    versions: Mapping[str, str] = {"steady": "1"}
    processes: Sequence[int] = ()

    def __init__(self, logits: NDArray[np.float32] | None = None) -> None:
        self.prompts: list[list[int]] = []
        self.asked: list[tuple[int, int]] = []
        self.answered: list[list[int]] = []
        self.served: list[Arrival] = []
        self._logits = logits

    def held_bytes(self) -> int | None:
        return None

    def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[Timeline]:
        self.prompts += [list(prompt) for prompt in prompts]
        self.asked.append((len(prompts), tokens))
        prefills = np.cumsum([len(prompt) for prompt in prompts])
        return [[(STEP_S * float(done + step), 1.0) for step in range(tokens)] for done in prefills]

    def join(self, prompts: Sequence[Sequence[int]], tokens: int, newcomers: Sequence[Sequence[int]]) -> list[float]:
        self.asked.append((len(prompts), tokens))
        return [float(index) for index in range(len(newcomers))]

    def answer(self, prompt: Sequence[int], tokens: int) -> Timeline:
        self.answered.append(list(prompt))
        return [(STEP_S * step, 1.0) for step in range(1, tokens + 1)]

    def serve(self, arrivals: Sequence[Arrival]) -> list[Timeline]:
        self.served += arrivals
        return [[(STEP_S * step, 1.0) for step in range(1, arrival.tokens + 1)] for arrival in arrivals]

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        assert self._logits is not None
        return self._logits[: len(ids)]

    def close(self) -> None:
        """Nothing to free."""


def measured(key: str, *rounds: dict[str, float | None], mean_kl: float | None = None, why_not: str = "") -> Measured:
    quality = {} if mean_kl is None else {"mean_kl": mean_kl, "top1_agreement": 0.96}
    return Measured(
        key,
        f"title of {key}",
        f"note on {key}",
        rounds,
        quality,
        {key: "1.0"},
        tuple(0.0 for _ in rounds),
        why_not,
    )


def table(*engines: Measured, kind: str = "main") -> Table:
    work = {"streams": [1, 8], "prefill_tokens": [1000], "short_tokens": 32, "busy_streams": 8}
    return Table(kind, next(iter(TARGETS_OF)), "ab" * 32, work, engines)


def results(*tables: Table) -> Results:
    return Results("2026-01-01 00:00 UTC", {"CPU": "abacus", "cores used": "2 of 2 logical"}, tables, quick=False)
