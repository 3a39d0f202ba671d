"""Times a runner: decoding with several streams, and the prefill of a long prompt. It does not measure quality."""

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
    """Median seconds of a greedy decoding step with `streams` sequences of `context` rows each.

    The cache's rows are arbitrary: their values do not affect the time. The step includes choosing the tokens. `tokens`
    is the number of the tokenizer's tokens.
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
    """Median seconds from the start of a prompt to its first token, in one slot, with chunks of `chunk` tokens."""
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
