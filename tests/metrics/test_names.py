import dataclasses
from pathlib import Path

from appliance.engine.stats import EngineStats
from appliance.jetson import Board, Trip, Zone, figures
from appliance.metrics import BOARD, METRICS, Kind
from appliance.metrics.names import UPDATED

HOT = Zone("tj-thermal", 70.0, (Trip("passive", 99.0),))


def test_every_figure_of_the_engine_is_a_metric_and_no_other():
    assert {metric.field for metric in METRICS} == {field.name for field in dataclasses.fields(EngineStats)}


def test_every_figure_of_a_board_is_a_metric_and_no_other():
    board = Board("x", gpu_hz=1, throttled_by=(), overcurrent_events=0, power_w=1.0, zones=(HOT,))
    assert {metric.field for metric in BOARD} == set(figures(board, 1))


def test_a_figure_that_the_board_does_not_tell_is_left_out():
    found = figures(Board("x"), 4)
    assert found == {"slots_allowed": 4, "board_temperature_celsius": {}, "board_power_mode": {}}


def test_figures_with_a_further_label_have_a_number_for_each_value():
    found = figures(Board("x", power_mode="15W", zones=(HOT, Zone("off", None)), throttled_by=("cpufreq-cpu0",)), 4)
    assert found["board_temperature_celsius"] == {"tj-thermal": 70.0}
    assert found["board_power_mode"] == {"15W": 1.0}
    assert found["board_throttled"] == 1.0
    assert found["board_headroom_celsius"] == 29.0
    assert {metric.field for metric in BOARD if metric.label} == {"board_temperature_celsius", "board_power_mode"}


def test_totals_are_counters_and_the_rest_are_gauges():
    for metric in (*METRICS, *BOARD):
        counts = metric.name.endswith("_total") and metric.field != "cache_tokens_total"
        assert (metric.kind is Kind.COUNTER) == counts, metric.name


def test_the_page_of_the_documentation_has_a_row_for_each():
    text = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for metric in (UPDATED, *METRICS, *BOARD):
        assert f"| `{metric.name}` | {metric.kind.value} |" in text
