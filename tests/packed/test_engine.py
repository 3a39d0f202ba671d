"""The engine on a packed graph: rows of completions are shared, drafts are verified, and no answer changes."""

from __future__ import annotations

import dataclasses
import itertools
import queue
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.artefact.folder import read_manifest
from appliance.engine.engine import Engine
from appliance.engine.request import Request
from appliance.errors import UnsupportedError
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishEvent, PromptEvent, TokenEvent, TokenLogprob, Usage
from appliance.inference.sampling import SamplingParams
from appliance.ops.library import library
from appliance.packed.build import ensure_packed
from appliance.packed.store import PackedStore
from tests.waiting import LIMIT_S

CONFIG = EngineConfig(slots=4, threads=1, prefill_chunk_tokens=64, interleaved_chunk_tokens=16, cache_bytes=64 << 20)
GREEDY = SamplingParams(temperature=0.0, max_tokens=40, ignore_eos=True)


@pytest.fixture
def config(artefact: Path, tmp_path: Path) -> EngineConfig:
    """Settings with the packed graph of `artefact`."""
    try:
        digest = library().digest
    except UnsupportedError as error:
        pytest.skip(error.message)
    folder = ensure_packed(
        PackedStore(tmp_path / "engines"), artefact, read_manifest(artefact), digest, lambda _line: None
    )
    return dataclasses.replace(CONFIG, packed=str(folder))


def ask(
    engine: Engine, prompts: list[list[int]], sampling: SamplingParams = GREEDY
) -> tuple[list[list[int]], list[Usage]]:
    """Submit all prompts at once; return the tokens of each answer and the usages."""
    queues: list[queue.SimpleQueue[TokenEvent | FinishEvent]] = [queue.SimpleQueue() for _ in prompts]
    for index, (prompt, events) in enumerate(zip(prompts, queues, strict=True)):
        engine.submit(Request(str(index), tuple(prompt), sampling), events.put)
    answers: list[list[int]] = []
    usages = []
    for events in queues:
        answers.append([])
        while isinstance(event := events.get(timeout=LIMIT_S), TokenEvent):
            answers[-1].extend(event.token_ids)
        assert event.error is None
        usages.append(event.usage)
    return answers, usages


def prompt(length: int, seed: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(0, 250, length)]


def test_the_next_turn_reuses_the_answer_and_is_the_same_without_a_cache(artefact: Path, config: EngineConfig):
    prompts = [prompt(30 + 7 * number, number) for number in range(3)]
    plain = Engine.load(artefact, dataclasses.replace(config, slots=1, prefix_cache=False))
    engine = Engine.load(artefact, config)
    try:
        answers, _ = ask(engine, prompts)
        turns = [[*asked, *answer, *prompt(9, 80)] for asked, answer in zip(prompts, answers, strict=True)]
        found, usages = ask(engine, turns)
        assert found == [ask(plain, [turn])[0][0] for turn in turns]
    finally:
        plain.close()
        engine.close()
    for asked, usage in zip(prompts, usages, strict=True):
        assert usage.cached_tokens >= len(asked) + 24


# Names are new, because a request whose last event has come may still be ending.
NAMES = map(str, itertools.count(1000))


def scored(engine: Engine, prompts: list[list[int]], alternatives: int) -> list[list[TokenLogprob]]:
    """Score all prompts at once, beside requests that generate tokens."""
    sampling = SamplingParams(max_tokens=0, prompt_logprobs=alternatives)
    queues: list[queue.SimpleQueue[PromptEvent | FinishEvent]] = [queue.SimpleQueue() for _ in prompts]
    for asked, events in zip(prompts, queues, strict=True):
        engine.submit(Request(next(NAMES), tuple(asked), GREEDY), lambda _event: None)
        engine.submit(Request(next(NAMES), tuple(asked), sampling), events.put)
    found: list[list[TokenLogprob]] = []
    for events in queues:
        found.append([])
        while isinstance(event := events.get(timeout=LIMIT_S), PromptEvent):
            found[-1] += event.logprobs
        assert event.error is None
    return found


@pytest.mark.parametrize("alternatives", [0, 2, 20])
def test_a_prompts_log_probabilities_have_the_same_bits_whatever_else_is_computed(
    artefact: Path, config: EngineConfig, alternatives: int
):
    prompts = [prompt(30 + 45 * number, number) for number in range(3)]
    plain = Engine.load(artefact, dataclasses.replace(config, slots=1, prefix_cache=False, prefill_chunk_tokens=24))
    engine = Engine.load(artefact, config)
    try:
        alone = [scored(plain, [asked], alternatives)[0] for asked in prompts]
        assert scored(engine, prompts, alternatives) == alone
        assert scored(engine, prompts, alternatives) == alone  # now each prompt is in the cache
    finally:
        plain.close()
        engine.close()
    for asked, figures in zip(prompts, alone, strict=True):
        assert [score.token_id for score in figures] == asked[1:]
        assert {len(score.top) for score in figures} == {alternatives}


SAMPLINGS = {
    "greedy": {"temperature": 0.0},
    "temperature": {"temperature": 0.8, "seed": 3},
    "truncated": {"temperature": 1.0, "top_p": 0.9, "top_k": 40, "min_p": 0.01, "seed": 4},
    "penalties": {
        "temperature": 0.6,
        "presence_penalty": -0.5,
        "frequency_penalty": 0.1,
        "repetition_penalty": 0.9,
        "seed": 5,
    },
    "log-probabilities": {"temperature": 0.0, "logprobs": 3},
}


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_answers_are_the_same_with_and_without_drafts(artefact: Path, config: EngineConfig, sampling: dict[str, Any]):
    # A bias towards few tokens makes the answers of random weights repeat themselves.
    few = dict.fromkeys((7, 8, 9), 12.0)
    params = SamplingParams(max_tokens=60, ignore_eos=True, **{**sampling, "logit_bias": few})
    prompts = [[7, 8, 9, 8, 7] * (5 + number) for number in range(3)]
    plain = Engine.load(artefact, dataclasses.replace(config, speculation=False))
    engine = Engine.load(artefact, config)
    try:
        expected = [ask(plain, [asked], params)[0][0] for asked in prompts]
        alone = [ask(engine, [asked], params)[0][0] for asked in prompts]
        together, usages = ask(engine, prompts, params)
        assert plain.stats().draft_tokens_total == 0
        assert engine.stats().accepted_draft_tokens_total > 0
    finally:
        plain.close()
        engine.close()
    assert alone == expected
    assert together == expected
    assert all(usage.completion_tokens == 60 for usage in usages)
