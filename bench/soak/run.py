"""One soak: starts a box, gets the expected answers, runs the crowd, and measures the memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.assignment import Assignment, Task, Work
from bench.machine import compute_threads
from bench.soak.crowd import Crowd
from bench.soak.question import Question
from bench.soak.rude import Rude
from bench.soak.tally import Memory, Soaked, Tally
from bench.workers.memory import total_bytes
from bench.workers.whole_path import WholePathSubject

Say = Callable[[str], None]
_SAMPLE_S = 0.5


@dataclass(frozen=True)
class SoakOptions:
    """The settings of the soak.

    Attributes:
        clients: number of clients; each repeats one question.
        slots: slots of the engine.
        queue: requests that may wait for a slot; fewer than clients, so that some are rejected.
        seconds: duration.
        context_tokens: context of each slot.
        halves, readers: misbehaving clients, see `Rude`.
    """

    clients: int = 100
    slots: int = 8
    queue: int = 64
    seconds: float = 60.0
    context_tokens: int = 1024
    halves: int = 60
    readers: int = 2


def run_soak(
    artefact: Path,
    options: SoakOptions,
    ask: Callable[[str, int], Sequence[Question]],
    say: Say,
    is_enough: Callable[[Tally], bool] = lambda _tally: True,
) -> Soaked:
    """Serve the artefact and run the crowd.

    Args:
        artefact: the artefact to serve.
        options: the settings.
        ask: creates this number of questions for a model.
        say: receives messages.
        is_enough: the soak continues after its duration until this is true, on however slow a machine.

    Raises:
        ValueError: answers lack their markers even with one client alone.
        RuntimeError: the box did not start.
    """
    work = Work(slots=options.slots, context_tokens=options.context_tokens)
    assignment = Assignment(Task.SPEED, str(artefact), compute_threads(), seed=0, corpus=(), work=work)
    box = WholePathSubject(assignment, max_queue_requests=options.queue)
    try:
        return asyncio.run(_soak(box, options, ask, say, is_enough))
    finally:
        box.close()


async def _soak(
    box: WholePathSubject,
    options: SoakOptions,
    ask: Callable[[str, int], Sequence[Question]],
    say: Say,
    is_enough: Callable[[Tally], bool],
) -> Soaked:
    tally, client = Tally(), box.client
    questions = ask(client.model, options.clients)
    crowd = Crowd(client.host, client.port, questions, tally)
    rude = Rude(client.host, client.port, client.model, tally, halves=options.halves, readers=options.readers)
    say(f"{options.clients} questions, each alone")
    await crowd.learn()
    say(f"{options.clients} clients on {options.slots} slots for {options.seconds:g} s")
    pids = list(box.processes)
    gateway = [pid for pid in pids if "appliance.gateway" in psutil.Process(pid).cmdline()]
    scales = {"gateway": _Scale(gateway), "box": _Scale(pids)}
    loop = asyncio.get_running_loop()
    began = loop.time()
    beside = [asyncio.ensure_future(rude.run())]
    beside += [asyncio.ensure_future(scale.watch(lambda: tally.requests)) for scale in scales.values()]
    try:
        await crowd.run(lambda: loop.time() >= began + options.seconds and is_enough(tally))
        for task in beside:
            if task.done():
                task.result()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    return Soaked(
        options.clients,
        options.slots,
        options.queue,
        options.seconds,
        tally,
        gateway=scales["gateway"].memory(),
        box=scales["box"].memory(),
    )


class _Scale:
    """Measures the memory of some processes repeatedly."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        # (finished requests, resident bytes at that time).
        self._samples = [(0, total_bytes(pids))]

    async def watch(self, requests: Callable[[], int]) -> None:
        """Measure until cancelled; `requests` returns the number of finished requests."""
        while True:
            self._samples.append((requests(), total_bytes(self._pids)))
            await asyncio.sleep(_SAMPLE_S)

    def memory(self) -> Memory:
        """The result. The halves are halves of the requests: warming up depends on work, not on time."""
        half = self._samples[-1][0] / 2
        first = max(weight for requests, weight in self._samples if requests <= half)
        return Memory(
            self._samples[0][1],
            first,
            max((weight for requests, weight in self._samples if requests > half), default=first),
        )
