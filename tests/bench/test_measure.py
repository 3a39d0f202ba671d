from __future__ import annotations

import dataclasses
import os
from collections import Counter

import pytest

from bench.workers.measure import measure
from tests.bench.fakes import STEP_S, WORK, SteadyEngine, assignment


def test_every_figure_of_the_work_is_there_under_its_name():
    figures = measure(SteadyEngine(), assignment())
    assert set(figures) == {
        *("start_s", "ttft_idle_s", "ttft_busy_s", "peak_bytes", "own_bytes"),
        *("ttft_10", "prefill_10", "ttft_20", "prefill_20", "decode_1", "decode_3"),
    }


def test_rates_follow_from_when_tokens_came():
    figures = measure(SteadyEngine(), assignment())
    assert figures["ttft_20"] == pytest.approx(20 * STEP_S)
    assert figures["prefill_20"] == pytest.approx(1 / STEP_S)
    assert figures["ttft_idle_s"] == pytest.approx(3 * STEP_S)
    assert figures["decode_1"] == pytest.approx(1 / STEP_S)
    assert figures["ttft_busy_s"] == pytest.approx(1.0)


def test_no_prompt_is_used_twice():
    engine = SteadyEngine()
    measure(engine, assignment())
    assert max(Counter(tuple(prompt) for prompt in engine.prompts).values()) == 1


def test_an_engine_that_takes_no_newcomers_is_not_asked_to():
    engine = SteadyEngine()
    engine.takes_newcomers = False
    assert "ttft_busy_s" not in measure(engine, assignment())
    assert (WORK.busy_streams, WORK.decode_tokens) not in engine.asked


def test_work_without_busy_streams_leaves_that_figure_out():
    work = dataclasses.replace(WORK, busy_streams=0, streams=())
    assert set(measure(SteadyEngine(), assignment(work))) & {"ttft_busy_s", "decode_1"} == set()


USE = dataclasses.replace(
    WORK, streams=(), prefill_tokens=(), busy_streams=0, task_tokens=5, arrivals=3, arrival_gap_s=0.01,
    arrival_prompts=(4,), arrival_completions=(2,),
)  # fmt: skip


def test_tasks_are_answered_one_after_another_and_requests_served_as_they_arrive():
    engine = SteadyEngine()
    given = dataclasses.replace(assignment(USE), tasks={"edit": ((1, 2), (3,)), "summary": ((4,),)})
    figures = measure(engine, given)
    assert engine.answered == [[1, 2], [3], [4]]
    assert figures["task_edit"] == figures["task_summary"] == pytest.approx(1 / STEP_S)
    assert [(len(each.prompt), each.tokens) for each in engine.served] == [(4, 2)] * 3
    assert figures["itl_p50_s"] == figures["itl_p99_s"] == pytest.approx(STEP_S)


def test_requests_do_not_arrive_at_an_engine_that_takes_no_newcomers():
    engine = SteadyEngine()
    engine.takes_newcomers = False
    assert "itl_p50_s" not in measure(engine, assignment(USE))
    assert engine.served == []


def test_the_rate_after_a_prompt_is_a_figure_on_request():
    work = dataclasses.replace(WORK, continued_tokens=4)
    engine = SteadyEngine()
    assert measure(engine, assignment(work))["decode_at_20"] == pytest.approx(1 / STEP_S)
    assert (1, 5) in engine.asked


def test_memory_is_that_of_the_engines_processes_less_what_it_holds():
    engine = SteadyEngine()
    engine.processes = [os.getpid()]
    engine.held_bytes = lambda: 1000  # type: ignore[method-assign]
    figures = measure(engine, assignment())
    assert figures["peak_bytes"] is not None
    assert figures["own_bytes"] is not None
    assert figures["peak_bytes"] > 10_000_000
    assert 0 < figures["own_bytes"] <= figures["peak_bytes"] - 1000


def test_a_process_that_is_gone_counts_nothing():
    engine = SteadyEngine()
    engine.processes = [2**22 + 1]
    assert measure(engine, assignment())["peak_bytes"] == 0


def test_the_start_is_counted_from_the_engines_own_process_if_it_has_one():
    engine = SteadyEngine()
    given = assignment()
    engine.spawned_at = given.spawned_at - 100
    start = measure(engine, given)["start_s"]
    assert start is not None
    assert start >= 100
