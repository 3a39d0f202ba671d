"""Times a runner: decoding with some streams, and the prefill of a long prompt. It says nothing about quality."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from appliance.engine.request import Request
from appliance.engine.runner import Runner
from appliance.engine.sampler import SamplerState, choose
from appliance.inference.sampling import SamplingParams

_WARM_UP = 3


def decode_step_s(runner: Runner, streams: int, context: int, steps: int, tokens: int) -> float:
    """Median seconds of a step that decodes `streams` tokens greedily, with `context` rows in each slot before it.

    The rows are whatever the cache holds: their values do not change the time. Choosing the tokens is part of a step.
    `tokens` are the tokenizer's.
    """
    states = [SamplerState(_request(), ()) for _ in range(streams)]
    following = [0] * streams
    taken = []
    for step in range(_WARM_UP + steps):
        begun = time.perf_counter()
        logits = runner.decode(following, [context + step] * streams)
        choices = choose(logits, range(streams), states, tokens)
        following = [choice.token or 0 for choice in choices]
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[_WARM_UP:])


def prefill_s(runner: Runner, prompt: Sequence[int], chunk: int, repeats: int, tokens: int) -> float:
    """Median seconds of computing a whole prompt in one slot, `chunk` tokens at a time, until its first token."""
    state = SamplerState(_request(), ())
    taken = []
    for _ in range(1 + repeats):
        begun = time.perf_counter()
        for start in range(0, len(prompt), chunk):
            logits = runner.prefill(0, start, prompt[start : start + chunk])
        choose(logits, [0], [state], tokens)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def _request() -> Request:
    return Request("bench", (0,), SamplingParams(temperature=0.0))
