"""Steps of a runner and requests to an engine, as tests of several runners take them."""

import itertools
import queue

import numpy as np

from appliance.engine.request import Request
from appliance.inference.events import FinishEvent
from tests.waiting import LIMIT_S


def prompt(length, seed=0):
    return np.random.default_rng(seed).integers(0, 250, length).tolist()


def prefill(runner, slot, tokens, *edges):
    """Prefill in chunks that end at `edges`; return a copy of the last logits."""
    logits = None
    for start, end in itertools.pairwise([0, *edges, len(tokens)]):
        logits = runner.prefill(slot, start, tokens[start:end])
    return logits.rows([0]).copy()


def decode(runner, tokens, lengths):
    """One decode step; return a copy of all its logits."""
    return runner.decode(tokens, lengths).rows(range(len(tokens))).copy()


def score(runner, slot, tokens, *edges):
    """Score a prompt in chunks that end at `edges`; return a copy of the logits of all its rows."""
    found = []
    for start, end in itertools.pairwise([0, *edges, len(tokens)]):
        found.append(runner.scorer.score(slot, start, tokens[start:end]).rows(range(end - start)).copy())
    return np.concatenate(found)


def greedy_alone(runner, tokens, count):
    """Greedy completion in slot 0, alone."""
    completion = [int(prefill(runner, 0, tokens).argmax())]
    for length in range(len(tokens), len(tokens) + count - 1):
        completion.append(int(decode(runner, [completion[-1]], [length]).argmax()))
    return completion


def collect(engine, prompts, sampling, prefix=""):
    """Submit all prompts at once; return the tokens of each and the usages."""
    queues = [queue.SimpleQueue() for _ in prompts]
    for index, (tokens, events) in enumerate(zip(prompts, queues, strict=True)):
        engine.submit(Request(f"{prefix}{index}", tuple(tokens), sampling), events.put)
    answers, usages = [], []
    for events in queues:
        answers.append([])
        while not isinstance(event := events.get(timeout=LIMIT_S), FinishEvent):
            answers[-1].extend(event.token_ids)
        usages.append(event.usage)
    return answers, usages
