"""The verdict on a run: which peer counts, what is met, and by how much a row is missed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.engines import ENGINE, ENGINES, LLAMA, OPENVINO_GROUPS, OPENVINO_INT4, OPENVINO_INT8, WHOLE_PATH
from bench.results import Measured
from bench.run import PARTS
from bench.targets import LARGER_TARGETS, PEER_KL, TARGETS, TARGETS_OF, Against, Target
from bench.verdict import Verdict, judge, left_out, verdicts
from tests.bench.fakes import measured, results, table

RATE = Target("rate", "decode_1", 1.25)
COST = Target("cost", "ttft_idle_s", 0.8, is_rate=False, unit="ms", scale=1e3, digits=0)
TIMES = "\N{MULTIPLICATION SIGN}"


def found(key: str, figure: str, *values: float, kl: float = 0.01) -> Measured:
    return measured(key, *({figure: value} for value in values), mean_kl=kl)


def row(target: Target, *engines: Measured) -> Verdict:
    return judge(target, [table(*engines)])


def test_the_best_peer_is_the_fastest_by_median():
    verdict = row(
        RATE,
        found(ENGINE.key, "decode_1", 1.0, 60.0, 900.0),
        found(LLAMA.key, "decode_1", 40.0),
        found(OPENVINO_INT8.key, "decode_1", 48.0, kl=0.004),
    )
    assert verdict.ours == "60.0 tokens/s (KL 0.0100)"
    assert verdict.opponent == f"48.0 tokens/s (title of {OPENVINO_INT8.key}, KL 0.0040)"
    assert verdict.ratio == f"1.25 {TIMES}"
    assert (verdict.is_met, verdict.verdict) == (True, "met")


def test_of_a_cost_the_best_peer_is_the_least():
    engines = [
        found(ENGINE.key, "ttft_idle_s", 0.045),
        found(LLAMA.key, "ttft_idle_s", 0.1),
        found(OPENVINO_INT8.key, "ttft_idle_s", 0.05),
    ]
    verdict = row(COST, *engines)
    assert verdict.opponent.startswith("50 ms")
    assert verdict.is_met is False
    # The limit is 40 ms.
    assert verdict.missed_by == pytest.approx(0.125)
    assert verdict.verdict == "**missed by 12.5%**"


def test_a_rate_is_missed_by_its_distance_from_the_limit():
    verdict = row(RATE, found(ENGINE.key, "decode_1", 45.0), found(LLAMA.key, "decode_1", 40.0))
    assert verdict.missed_by == pytest.approx(0.1)


@pytest.mark.parametrize(("kl", "counts"), [(PEER_KL, True), (0.0201, False), (None, False)])
def test_a_peer_with_a_large_or_unknown_kl_does_not_count(kl: float | None, counts: bool):
    fast = measured(OPENVINO_INT4.key, {"decode_1": 100.0}, mean_kl=kl)
    engines = (found(ENGINE.key, "decode_1", 60.0), found(LLAMA.key, "decode_1", 40.0), fast)
    assert row(RATE, *engines).is_met is not counts
    assert [engine.key for engine in left_out([table(*engines)])] == ([] if counts else [OPENVINO_INT4.key])


def test_our_other_engines_are_no_peers():
    engines = (found(ENGINE.key, "decode_1", 60.0), found(WHOLE_PATH.key, "decode_1", 90.0))
    assert row(RATE, *engines).is_met is None


def test_against_a_named_opponent_its_kl_does_not_matter_and_slack_is_added():
    target = replace(COST, bound=1.0, slack=0.3, against=Against.LLAMA)
    llama = found(LLAMA.key, "ttft_idle_s", 0.5, kl=0.04)
    fastest = found(OPENVINO_INT8.key, "ttft_idle_s", 0.1)
    assert row(target, found(ENGINE.key, "ttft_idle_s", 0.79), llama, fastest).is_met is True
    assert row(target, found(ENGINE.key, "ttft_idle_s", 0.81), llama, fastest).is_met is False


def test_the_whole_path_is_compared_with_the_engine():
    target = replace(RATE, bound=0.95, ours=WHOLE_PATH.key, against=Against.ENGINE)
    verdict = row(target, found(ENGINE.key, "decode_1", 100.0), found(WHOLE_PATH.key, "decode_1", 96.0))
    assert (verdict.is_met, verdict.ratio) == (True, f"0.96 {TIMES}")


def test_an_absolute_limit_may_be_one_of_quality():
    target = Target("KL", "mean_kl", 0.01, is_rate=False, against=Against.NOBODY, unit="nats", digits=4)
    assert row(target, found(ENGINE.key, "decode_1", 1.0, kl=0.01)).is_met is True
    verdict = row(target, found(ENGINE.key, "decode_1", 1.0, kl=0.0175))
    assert (verdict.ours, verdict.opponent, verdict.verdict) == ("0.0175 nats", "-", "**missed by 75.0%**")


def test_what_was_not_measured_is_neither_met_nor_missed():
    rows = verdicts(results(table(found(ENGINE.key, "decode_1", 60.0), measured(LLAMA.key, why_not="absent: no"))))
    (of_model,) = rows.values()
    assert [verdict.is_met for verdict in of_model] == [True] + [None] * (len(TARGETS) - 1)
    assert {verdict.verdict for verdict in of_model[1:]} == {"not measured"}


def test_each_model_has_its_targets_in_any_order_and_others_have_none():
    one = table(found(ENGINE.key, "decode_1", 60.0), found(LLAMA.key, "decode_1", 50.0))
    given = [replace(one, model=model) for model in ("unknown", *reversed(TARGETS_OF))]
    found_rows = verdicts(results(*given))
    assert found_rows.keys() == TARGETS_OF.keys()
    rows = {model: found_rows[model] for model in TARGETS_OF}
    decode = [next(row for row in several if row.what.startswith("decode, 1")) for several in rows.values()]
    # 1.2 times is enough for the larger model only.
    assert [(row.is_met, row.target[-5:]) for row in decode] == [(False, f"1.3 {TIMES}"), (True, f"1.1 {TIMES}")]


def test_rows_of_other_tables_are_found_in_the_tables_of_the_same_model():
    long = table(
        found(ENGINE.key, "prefill_8000", 130.0), found(OPENVINO_GROUPS.key, "prefill_8000", 100.0), kind="long"
    )
    elsewhere = replace(long, model="larger")
    rows = verdicts(results(table(found(ENGINE.key, "decode_1", 1.0)), long, elsewhere))
    (verdict,) = [row for row in rows[long.model] if row.what == "prefill of 8,000"]
    assert verdict.is_met is True


@pytest.mark.parametrize("targets", [TARGETS, LARGER_TARGETS], ids=["smaller", "larger"])
def test_each_target_is_measured_by_the_bench(targets: tuple[Target, ...]):
    measurable = {part.kind: {engine.key for engine in part.engines} for part in PARTS}
    assert {target.ours for target in targets} <= {engine.key for engine in ENGINES}
    assert all(target.ours in measurable[target.kind] for target in targets)
    assert len({target.what for target in targets}) == len(targets)
    works = {part.kind: part.work for part in PARTS}
    for target in targets:
        name, _, number = target.figure.rpartition("_")
        work = works[target.kind]
        measured_numbers = {"decode": work.streams, "prefill": work.prefill_tokens}
        if name in measured_numbers:
            assert int(number) in measured_numbers[name], target.what


def test_the_larger_models_rows_are_those_of_the_smaller_and_llamas_single_stream():
    compared = {target.what for target in TARGETS if target.against is not Against.NOBODY}
    larger = {target.what for target in LARGER_TARGETS if target.against is not Against.NOBODY}
    assert larger - compared == {"decode, 1 stream, against llama.cpp"}
    assert compared <= larger


def test_without_the_table_of_a_row_nothing_is_judged():
    assert judge(RATE, [table(kind="use")]).is_met is None
