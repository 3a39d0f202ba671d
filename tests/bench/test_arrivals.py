from __future__ import annotations

import dataclasses
import statistics

import pytest

from bench.workers.arrivals import latencies, percentile, poisson
from bench.workers.prompts import Prompts
from tests.bench.fakes import WORK

MANY = dataclasses.replace(
    WORK, arrivals=2000, arrival_gap_s=0.5, arrival_prompts=(3, 9), arrival_completions=(2, 5)
)  # fmt: skip


def requests(seed: int):
    return poisson(Prompts(range(500), seed), MANY, seed)


def test_requests_arrive_in_order_and_independently_with_the_mean_gap():
    times = [each.at_s for each in requests(0)]
    gaps = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    assert min(gaps) > 0
    assert statistics.mean(gaps) == pytest.approx(0.5, rel=0.1)
    # In a Poisson process, the standard deviation of the gaps equals their mean.
    assert statistics.stdev(gaps) == pytest.approx(0.5, rel=0.15)


def test_lengths_are_mixed():
    assert {(len(each.prompt), each.tokens) for each in requests(0)} == {(3, 2), (3, 5), (9, 2), (9, 5)}


def test_every_engine_gets_the_same_requests_in_a_round_and_others_in_the_next():
    assert requests(1) == requests(1)
    assert requests(1) != requests(2)


def test_latencies_are_those_between_arrivals_and_of_the_first():
    figures = latencies([[(1.0, 1), (1.1, 1), (1.3, 2)], [(3.0, 1), (3.4, 1)], [(2.0, 1)]])
    assert figures["itl_p50_s"] == pytest.approx(0.2)
    assert figures["itl_p99_s"] == pytest.approx(0.4)
    assert figures["mixed_ttft_p50_s"] == pytest.approx(2.0)
    assert figures["mixed_ttft_p99_s"] == pytest.approx(3.0)


def test_a_percentile_is_a_value_of_the_sample():
    assert [percentile(range(1, 101), share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert percentile([], 0.5) is None
