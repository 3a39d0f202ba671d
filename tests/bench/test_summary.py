from __future__ import annotations

import pytest

from bench.engines import ENGINE, LLAMA, WHOLE_PATH
from bench.summary import Spread, spread, standings
from tests.bench.fakes import measured, table

OURS = {"decode_1": 60.0, "decode_8": 200.0, "prefill_1000": 400.0, "own_bytes": 250e6}
PATH = {"decode_1": 54.0, "decode_8": 170.0, "start_s": 4.0}
THEIRS = {"decode_1": 40.0, "decode_8": 100.0, "prefill_1000": 250.0}


def test_a_spread_is_median_least_and_greatest():
    assert spread([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert spread([]) is None


def test_each_target_is_found_in_the_medians():
    lines = standings(
        table(
            measured(ENGINE.key, {**OURS, "decode_1": 1.0}, OURS, {**OURS, "decode_1": 900.0}, mean_kl=0.01),
            measured(WHOLE_PATH.key, PATH),
            measured(LLAMA.key, THEIRS),
        )
    )
    times = "\N{MULTIPLICATION SIGN}"
    assert [(line.found, line.is_met) for line in lines] == [
        ("0.01", True),
        (f"1.5 {times}", True),
        (f"2 {times}", True),
        (f"1.6 {times}", False),
        (f"0.9 {times}", True),
        (f"0.85 {times}", False),
        ("4 s", True),
        ("250 MB", True),
    ]


@pytest.mark.parametrize("kl", [0.01, 0.0101])
def test_a_bound_itself_is_within(kl: float):
    assert standings(table(measured(ENGINE.key, OURS, mean_kl=kl)))[0].is_met is (kl <= 0.01)


def test_what_was_not_measured_is_neither_met_nor_missed():
    lines = standings(table(measured(ENGINE.key, OURS, mean_kl=0.01), measured(LLAMA.key, why_not="absent: no")))
    assert [line.is_met for line in lines] == [True, None, None, None, None, None, None, True]
