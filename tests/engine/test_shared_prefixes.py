"""What of an earlier prompt is computed again: the rows of a prefix are shared, among those who may know of it."""

from dataclasses import replace

import pytest

from tests.engine.core_bench import LIMITS, Bench
from tests.engine.toy import ExactToyRunner, greedy_reference


def test_a_prompt_that_is_cached_is_not_computed_again():
    bench = Bench()
    prompt = list(range(1, 41))
    first, second = bench.add("first", prompt), None
    bench.run()
    bench.runner.chunks.clear()
    second = bench.add("second", prompt)
    bench.run()
    assert second.tokens == first.tokens
    assert second.finish.usage.cached_tokens == 32
    assert bench.runner.chunks == [(bench.runner.chunks[0][0], 32, 8)]


def test_a_prefix_of_a_running_sequence_is_shared_too():
    bench = Bench()
    trunk = list(range(1, 33))
    bench.add("running", [*trunk, 90, 91], max_tokens=30)
    for _ in range(6):
        bench.step()
    late = bench.add("late", [*trunk, 80, 81, 82])
    bench.run()
    assert late.finish.usage.cached_tokens == 32
    assert late.tokens == greedy_reference([*trunk, 80, 81, 82], 8)


@pytest.mark.parametrize("running", [True, False])
def test_rows_of_a_completion_are_not_shared_because_decoding_rounds_differently(running):
    bench = Bench()
    prompt = list(range(1, 31))
    first = bench.add("turn 1", prompt, max_tokens=20, ignore_eos=True)
    while len(first.tokens) < 12:
        bench.step()
    if not running:
        bench.run()
    follow_up = [*prompt, *first.tokens[:12], 77, 78]
    second = bench.add("turn 2", follow_up)
    bench.run()
    assert second.finish.usage.cached_tokens == 24
    assert second.tokens == greedy_reference(follow_up, 8)


@pytest.mark.parametrize("running", [True, False])
def test_rows_of_a_completion_are_shared_if_the_runner_is_exact(running):
    bench = Bench(kind=ExactToyRunner)
    prompt = list(range(1, 31))
    first = bench.add("turn 1", prompt, max_tokens=20, ignore_eos=True)
    while len(first.tokens) < 14:
        bench.step()
    if not running:
        bench.run()
    follow_up = [*prompt, *first.tokens[:12], 77, 78]
    second = bench.add("turn 2", follow_up)
    bench.run()
    assert second.finish.usage.cached_tokens == 40
    assert second.tokens == greedy_reference(follow_up, 8, exact=True)


def test_no_principal_finds_another_s_prefix():
    bench = Bench()
    prompt = list(range(1, 41))
    bench.add("mine", prompt, principal="a")
    bench.run()
    theirs = bench.add("theirs", prompt, principal="b")
    bench.run()
    assert theirs.finish.usage.cached_tokens == 0


def test_no_adapter_finds_the_prefix_of_other_weights():
    bench = Bench()
    prompt = list(range(1, 41))
    names = {"plain": None, "one": "x", "other": "y", "again": "x"}
    for name, adapter in names.items():
        bench.add(name, prompt, principal="a", adapter=adapter)
        bench.run()
    cached = {name: bench.sinks[name].finish.usage.cached_tokens for name in names}
    assert cached == {"plain": 0, "one": 0, "other": 0, "again": 32}


def test_nothing_is_shared_when_the_prefix_cache_is_off():
    bench = Bench(replace(LIMITS, keep_prefixes=False))
    prompt = list(range(1, 41))
    for name in ("a", "b", "c"):
        bench.add(name, prompt, max_tokens=20)
    bench.run()
    assert [sink.finish.usage.cached_tokens for sink in bench.sinks.values()] == [0, 0, 0]


def test_a_continued_conversation_takes_over_the_slot_of_its_last_turn():
    bench = Bench(replace(LIMITS, max_running=1))
    bench.add("turn 1", range(1, 31))
    bench.run()
    bench.add("turn 2", range(1, 51))
    bench.run()
    assert sum(held is not None for held in bench.core.scheduler.slots.held) == 1
    assert bench.sinks["turn 2"].finish.usage.cached_tokens == 24


def test_a_short_shared_beginning_leaves_the_longer_cached_prompt_in_place():
    bench = Bench()
    long = list(range(1, 61))
    bench.add("long", long)
    bench.run()
    bench.add("other", [*long[:20], 99, 98])
    bench.run()
    again = bench.add("again", long)
    bench.run()
    assert bench.sinks["other"].finish.usage.cached_tokens == 16
    assert again.finish.usage.cached_tokens == 56
