"""Measures all figures of an assignment's work once, for one engine."""

from __future__ import annotations

import statistics
import time

from bench.assignment import Assignment
from bench.workers import energy
from bench.workers.arrivals import latencies, poisson
from bench.workers.memory import reset_peaks, total_bytes, total_peak_bytes
from bench.workers.prompts import Prompts
from bench.workers.subject import Subject
from bench.workers.timeline import decode_rate, first_token_s, steady_rate

Figures = dict[str, float | None]

_WARM_UP_TOKENS = 4


def measure(subject: Subject, assignment: Assignment) -> Figures:
    """Return the figures.

    `start_s`, `ttft_idle_s`, `ttft_busy_s`: seconds. `prefill_<n>`: prompt tokens/s until the first token, for a prompt
    of n tokens; `ttft_<n>`: the same time in seconds; `decode_at_<n>`: tokens/s after this prompt. `decode_<n>`: total
    tokens/s of n streams; `joules_<n>`: energy of their prompts and completions for each completion token, where the
    machine reports it. `task_<kind>`: tokens/s of one stream that answers the tasks. Latencies of requests that arrive
    over time: see `latencies`. `peak_bytes`: see `peak_bytes`. `own_bytes`: maximum of the resident memory besides
    weights and cache, read after each measurement.
    """
    work = assignment.work
    prompts = Prompts(assignment.corpus, assignment.seed)
    gauge = _Gauge(subject)
    figures: Figures = {}
    subject.complete([prompts.take(work.short_tokens)], 1)
    spawned_at = assignment.spawned_at if subject.spawned_at is None else subject.spawned_at
    figures["start_s"] = time.monotonic() - spawned_at
    gauge.read()
    # The first run of a shape allocates and, in some engines, compiles: it is not measured.
    subject.complete([prompts.take(min(work.prefill_tokens, default=work.short_tokens))], _WARM_UP_TOKENS)
    figures["ttft_idle_s"] = _first_token(subject, prompts, work.short_tokens, work.repeats)
    for length in work.prefill_tokens:
        timelines = [
            subject.complete([prompts.take(length)], 1 + work.continued_tokens)[0] for _ in range(work.repeats)
        ]
        seconds = statistics.median(map(first_token_s, timelines))
        if work.continued_tokens:
            figures[f"decode_at_{length}"] = decode_rate(timelines)
        figures[f"ttft_{length}"] = seconds
        figures[f"prefill_{length}"] = length / seconds
        gauge.read()
    for streams in work.streams:
        several = prompts.several(streams, work.prompt_tokens)
        meter = energy.started()
        timelines = subject.complete(several, work.decode_tokens)
        figures[f"decode_{streams}"] = steady_rate(timelines)
        joules = meter.joules() if meter else None
        if joules is not None:
            figures[f"joules_{streams}"] = joules / (streams * work.decode_tokens)
        gauge.read()
    if work.busy_streams and subject.takes_newcomers:
        waits = subject.join(
            prompts.several(work.busy_streams, work.prompt_tokens),
            work.decode_tokens,
            prompts.several(work.repeats, work.short_tokens),
        )
        figures["ttft_busy_s"] = statistics.median(waits)
        gauge.read()
    if work.task_tokens:
        for kind, tasks in assignment.tasks.items():
            figures[f"task_{kind}"] = decode_rate([subject.answer(task, work.task_tokens) for task in tasks])
            gauge.read()
    if work.arrivals and subject.takes_newcomers:
        figures |= latencies(subject.serve(poisson(prompts, work, assignment.seed)))
        gauge.read()
    return {**figures, "peak_bytes": gauge.peak, "own_bytes": gauge.own}


def _first_token(subject: Subject, prompts: Prompts, length: int, repeats: int) -> float:
    return statistics.median(
        first_token_s(subject.complete([prompts.take(length)], 1)[0]) for _ in range(repeats)
    )  # fmt: skip


class _Gauge:
    """The peak of memory, read after each measurement together with the size of the cache at that time."""

    def __init__(self, subject: Subject) -> None:
        self.peak = 0
        self.own: int | None = None
        self._subject = subject

    def read(self) -> None:
        pids = self._subject.processes
        self.peak = max(self.peak, total_peak_bytes(pids))
        reset_peaks(pids)
        # Both values are current: the peak would include cache rows that were freed meanwhile.
        held = self._subject.held_bytes()
        if held is not None:
            self.own = max(self.own or 0, total_bytes(pids) - held)
