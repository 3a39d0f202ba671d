"""Requests that arrive over time, as those of independent clients, and the latencies of their answers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.assignment import Work
from bench.workers.prompts import Prompts
from bench.workers.timeline import Timeline, first_token_s


@dataclass(frozen=True)
class Arrival:
    """One request.

    Attributes:
        at_s: seconds from the start of the measurement.
        prompt: token ids.
        tokens: completion tokens.
    """

    at_s: float
    prompt: Sequence[int]
    tokens: int


def poisson(prompts: Prompts, work: Work, seed: int) -> list[Arrival]:
    """A Poisson process of requests with mixed lengths; the same seed gives the same requests."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    arrivals: list[Arrival] = []
    at_s = 0.0
    for _ in range(work.arrivals):
        at_s += chance.expovariate(1 / work.arrival_gap_s)
        prompt = prompts.take(chance.choice(work.arrival_prompts))
        arrivals.append(Arrival(at_s, prompt, chance.choice(work.arrival_completions)))
    return arrivals


def latencies(timelines: Sequence[Timeline]) -> dict[str, float | None]:
    """Percentiles over all streams.

    `itl_p50_s`, `itl_p99_s`: percentiles of the seconds between two arrivals of tokens in a stream.
    `mixed_ttft_p50_s`, `mixed_ttft_p99_s`: percentiles of the seconds to the first token.
    """
    gaps = [after - before for timeline in timelines for (before, _), (after, _) in pairwise(timeline)]
    waits = [first_token_s(timeline) for timeline in timelines]
    return {
        "itl_p50_s": percentile(gaps, 0.5),
        "itl_p99_s": percentile(gaps, 0.99),
        "mixed_ttft_p50_s": percentile(waits, 0.5),
        "mixed_ttft_p99_s": percentile(waits, 0.99),
    }


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile; None without values."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None
