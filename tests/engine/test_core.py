"""Whatever comes and goes in whatever order: nothing is lost, nobody starves, and every answer is the lone one's."""

import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.engine.exactness import LARGEST_TILE
from appliance.engine.request import Request
from appliance.engine.sequence import Sequence, Status
from appliance.engine.stream import Stream
from appliance.errors import DeadlineError, EngineError
from appliance.inference.events import FinishReason
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import StructuredOutput
from tests.engine.core_bench import ALL_LIMITS, LIMITS, Bench, prompts
from tests.engine.toy import (
    END,
    SHAPE,
    TOKENIZER,
    TOKENS,
    Recorder,
    greedy_reference,
)


@dataclass(frozen=True)
class Spec:
    arrives: int
    principal: str
    prompt: tuple
    max_tokens: int
    cancelled: int | None
    deadline: int | None


SPECS = st.builds(
    Spec,
    arrives=st.integers(0, 40),
    principal=st.sampled_from(["a", "b"]),
    prompt=prompts(),
    max_tokens=st.integers(1, 30),
    cancelled=st.none() | st.integers(0, 80),
    deadline=st.none() | st.integers(1, 80),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs=st.lists(SPECS, min_size=1, max_size=12), limits=ALL_LIMITS)
def test_every_request_ends_once_with_the_tokens_it_would_get_alone(specs, limits):
    bench = Bench(limits)
    for tick in range(81):
        for index, spec in enumerate(specs):
            if spec.arrives == tick:
                bench.add(
                    str(index),
                    spec.prompt,
                    principal=spec.principal,
                    max_tokens=spec.max_tokens,
                    deadline=None if spec.deadline is None else spec.deadline + 0.5,
                )
        bench.step(str(index) for index, spec in enumerate(specs) if spec.cancelled == tick)
    bench.run()
    for index, spec in enumerate(specs):
        sink = bench.sinks[str(index)]
        expected = greedy_reference(spec.prompt, spec.max_tokens)
        assert sink.tokens == expected[: len(sink.tokens)]
        reason = sink.finish.reason
        if reason in {FinishReason.STOP, FinishReason.LENGTH}:
            assert sink.tokens == expected
        else:
            allowed = {FinishReason.CANCELLED: spec.cancelled, FinishReason.DEADLINE: spec.deadline}
            assert allowed[reason] is not None
        usage = sink.finish.usage
        assert usage.completion_tokens == len(sink.tokens)
        assert usage.cached_tokens < usage.prompt_tokens == len(spec.prompt)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 90), limits=ALL_LIMITS)
def test_chunks_begin_where_tiles_do_and_are_never_one_row_of_a_longer_prompt(length, limits):
    bench = Bench(limits)
    bench.add("x", [3] * length, max_tokens=1)
    bench.run()
    for _, start, rows in bench.runner.chunks:
        assert start % LARGEST_TILE == 0
        assert rows > 1 or length == 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    specs=st.lists(SPECS, min_size=1, max_size=8),
    limits=ALL_LIMITS,
    allowed=st.lists(st.integers(-1, 6), min_size=1, max_size=40),
)
def test_no_more_are_let_in_than_allowed_and_every_request_still_ends_with_its_lone_tokens(specs, limits, allowed):
    bench = Bench(limits)
    for index, spec in enumerate(specs):
        bench.add(str(index), spec.prompt, max_tokens=spec.max_tokens)
    steps = 0
    while not bench.core.is_idle:
        before = set(bench.core.scheduler.running)
        bench.allowed = allowed[steps % len(allowed)]
        bench.step()
        newcomers = set(bench.core.scheduler.running) - before
        assert not newcomers or len(bench.core.scheduler.running) <= max(bench.allowed, 1)
        steps += 1
        assert steps < 5000, "a sequence starves"
    for index, spec in enumerate(specs):
        assert bench.sinks[str(index)].tokens == greedy_reference(spec.prompt, spec.max_tokens)


def test_fewer_allowed_lets_running_ones_go_on_and_newcomers_wait():
    bench = Bench(replace(LIMITS, budget_rows=1000))
    for name in ("a", "b", "c"):
        bench.add(name, [1, 2, 3], max_tokens=12, ignore_eos=True)
    while len(bench.core.scheduler.running) < 3:
        bench.step()
    bench.allowed = 1
    late = bench.add("late", [4, 5, 6], max_tokens=2, ignore_eos=True)
    while len(bench.finished) < 2:
        bench.step()
        assert bench.sequences["late"] not in bench.core.scheduler.running
    assert not late.events
    bench.run()
    assert len(late.tokens) == 2


def test_a_short_prompt_does_not_wait_for_a_long_one():
    bench = Bench(replace(LIMITS, prefill_chunk=4, interleaved_chunk=4, budget_rows=1000))
    long = bench.add("long", [7] * 80, max_tokens=1)
    bench.step()
    short = bench.add("short", [8, 9], max_tokens=1)
    for _ in range(4):
        bench.step()
    assert short.finishes
    assert not long.finishes
    bench.run()


def test_running_streams_get_a_token_between_any_two_chunks_of_a_newcomer():
    bench = Bench(replace(LIMITS, interleaved_chunk=4, budget_rows=1000))
    bench.add("stream", [1, 2], max_tokens=40, ignore_eos=True)
    bench.step()
    bench.add("newcomer", [7] * 60, max_tokens=1)
    bench.runner.chunks.clear()
    stream = bench.sinks["stream"]
    while not bench.sinks["newcomer"].finishes:
        chunks, tokens = len(bench.runner.chunks), len(stream.tokens)
        bench.step()
        bench.step()
        assert len(bench.runner.chunks) <= chunks + 1
        assert len(stream.tokens) >= tokens + 1
    bench.run()


def test_several_short_prompts_share_one_turn_of_prefill():
    bench = Bench(replace(LIMITS, max_running=4, interleaved_chunk=12, budget_rows=1000))
    bench.add("stream", [1, 2], max_tokens=40, ignore_eos=True)
    bench.step()
    bench.step()
    for name in ("a", "b", "c"):
        bench.add(name, [5, 6, 7], max_tokens=1)
    for _ in range(4):
        bench.step()
    assert all(bench.sinks[name].finishes for name in ("a", "b", "c"))
    bench.run()


def test_principals_take_turns_so_a_flood_delays_others_by_one_request_each():
    bench = Bench(replace(LIMITS, max_running=1))
    for index in range(10):
        bench.add(f"flood {index}", [1, 2, 3], principal="flood")
    bench.step()
    bench.add("guest", [4, 5, 6], principal="guest")
    bench.run()
    assert bench.finished.index("guest") <= 2


def test_when_memory_is_short_the_youngest_is_set_back_and_its_text_does_not_repeat():
    bench = Bench(replace(LIMITS, max_running=2, budget_rows=150))
    prompts = {"old": [1, 2, 3], "young": [4, 5, 6, 7]}
    for name, prompt in prompts.items():
        bench.add(name, prompt, max_tokens=80, ignore_eos=True)
    bench.run()
    assert bench.core.scheduler.preemptions > 0
    assert bench.finished == ["old", "young"]
    for name in prompts:
        sink = bench.sinks[name]
        assert len(sink.tokens) == 80
        assert sink.finish.reason is FinishReason.LENGTH
    alone = Bench()
    lone = alone.add("young", prompts["young"], max_tokens=80, ignore_eos=True)
    alone.run()
    assert bench.sinks["young"].tokens == lone.tokens


def test_a_grammar_goes_on_where_it_was_when_its_sequence_is_set_back_or_shares_a_prefix():
    sampling = {
        "structured_outputs": StructuredOutput.from_mapping({"regex": "([a-f]{3}-[0-9]{2};){11}"}),
        "max_tokens": 80,
        "logit_bias": {END: 50.0},
    }
    alone = Bench()
    alone.add("lone", [4, 5, 6, 7], **sampling)
    alone.run()
    bench = Bench(replace(LIMITS, max_running=2, budget_rows=150))
    for name in ("old", "young", "late"):
        bench.add(name, [4, 5, 6, 7], **sampling)
    bench.run()
    assert bench.core.scheduler.preemptions > 0
    for sink in bench.sinks.values():
        assert sink.finish.reason is FinishReason.STOP
        assert re.fullmatch("([a-f]{3}-[0-9]{2};){11}", sink.text)
        assert sink.tokens == alone.sinks["lone"].tokens


def test_a_sequence_that_was_set_back_can_be_cancelled():
    bench = Bench(replace(LIMITS, max_running=2, budget_rows=150))
    for name in ("old", "young"):
        bench.add(name, [1, 2, 3], max_tokens=85, ignore_eos=True)
    while not bench.core.scheduler.preemptions:
        bench.step()
    bench.step(["young"])
    assert bench.sinks["young"].finish.reason is FinishReason.CANCELLED
    bench.run()
    assert len(bench.sinks["old"].tokens) == 85


@pytest.mark.parametrize("steps_before", [0, 1, 3, 9])
def test_a_cancelled_request_gets_no_token_after_the_next_sweep(steps_before):
    bench = Bench(replace(LIMITS, max_running=1))
    bench.add("first", range(1, 30), max_tokens=20, ignore_eos=True)
    waiting = bench.add("second", [1, 2, 3])
    for _ in range(steps_before):
        bench.step()
    seen = len(bench.sinks["first"].tokens)
    bench.step(["first", "second"])
    for name in ("first", "second"):
        assert bench.sinks[name].finish.reason is FinishReason.CANCELLED
    assert len(bench.sinks["first"].tokens) == seen
    assert waiting.tokens == []
    assert bench.core.is_idle


def test_a_passed_deadline_ends_running_and_waiting_requests_with_a_deadline_error():
    bench = Bench(replace(LIMITS, max_running=1))
    for name in ("running", "waiting"):
        bench.add(name, [1, 2, 3], max_tokens=50, deadline=5.0, ignore_eos=True)
    for _ in range(5):
        bench.step()
    for name in ("running", "waiting"):
        finish = bench.sinks[name].finish
        assert finish.reason is FinishReason.DEADLINE
        assert isinstance(finish.error, DeadlineError)


def test_a_fault_fails_the_sequences_of_its_step_and_the_others_go_on():
    bench = Bench(faults=[2])
    for _ in range(2):
        bench.add(f"early {len(bench.sinks)}", [1, 2, 3], max_tokens=5, ignore_eos=True)
    bench.step()  # prefill of the first
    bench.step()  # one decode step of the first
    bench.step()  # prefill of the second fails
    failed = bench.sinks["early 1"].finish
    assert failed.reason is FinishReason.ERROR
    assert isinstance(failed.error, EngineError)
    bench.run()
    assert bench.sinks["early 0"].finish.reason is FinishReason.LENGTH
    after = bench.add("after", [1, 2, 3])
    bench.run()
    assert after.tokens == greedy_reference([1, 2, 3], 8)


def test_rows_of_a_failed_step_are_not_offered_to_later_prompts():
    bench = Bench(replace(LIMITS, prefill_chunk=20), faults=[1])
    prompt = list(range(1, 41))
    bench.add("fails", prompt)
    bench.run()
    assert bench.sinks["fails"].finish.reason is FinishReason.ERROR
    again = bench.add("again", prompt)
    bench.run()
    assert again.finish.usage.cached_tokens == 0


def test_faults_in_a_row_are_raised():
    bench = Bench(faults=range(100))
    for index in range(5):
        bench.add(str(index), [1, 2])
    with pytest.raises(EngineError, match="the toy broke"):
        bench.run()
    bench.core.end_all(EngineError("over"))
    assert {sink.finish.reason for sink in bench.sinks.values()} == {FinishReason.ERROR}


def test_logits_that_are_no_numbers_fail_their_request_alone(monkeypatch):
    bench = Bench()
    bench.add("sound", [1, 2, 3], max_tokens=5, ignore_eos=True)
    bench.step()
    decode = bench.runner.decode

    def poisoned(tokens, lengths):
        logits = decode(tokens, lengths)
        if len(tokens) == 2:
            logits.rows([0, 1])[1] = float("nan")
        return logits

    monkeypatch.setattr(bench.runner, "decode", poisoned)
    bench.add("poisoned", [4, 5, 6], max_tokens=5, ignore_eos=True)
    bench.run()
    assert bench.sinks["poisoned"].finish.reason is FinishReason.ERROR
    assert bench.sinks["sound"].finish.reason is FinishReason.LENGTH


def test_a_sink_that_raises_loses_its_request_and_nothing_else(caplog):
    bench = Bench()

    def broken(_event):
        raise OSError("gone")

    other = bench.add("other", [1, 2, 3])
    request = Request("broken", (4, 5, 6), SamplingParams(temperature=0.0, max_tokens=50, ignore_eos=True))
    sequence = Sequence(request, order=9, max_tokens=50, now=0.0)
    bench.sinks["broken"], bench.sequences["broken"] = Recorder(), sequence
    bench.core.add(Stream(sequence, broken, TOKENIZER, (END,)))
    bench.run(60)
    assert other.tokens == greedy_reference([1, 2, 3], 8)
    assert sequence.status is Status.FINISHED
    assert "sink of request 'broken' failed" in caplog.text


def test_a_seeded_sample_is_the_same_alone_and_in_a_batch():
    alone, batch = Bench(), Bench()
    options = {"temperature": 1.0, "seed": 42, "max_tokens": 20, "ignore_eos": True}
    lone = alone.add("x", [1, 2, 3], **options)
    alone.run()
    batch.add("a", [9, 8, 7, 6], temperature=1.0, seed=1, max_tokens=20)
    among = batch.add("x", [1, 2, 3], **options)
    batch.add("b", [5, 5], temperature=0.7, max_tokens=20)
    batch.run()
    assert lone.tokens == among.tokens
    assert SHAPE.tokens == TOKENS
