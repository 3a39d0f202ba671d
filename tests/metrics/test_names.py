import dataclasses

from appliance.engine import EngineStats
from appliance.metrics import METRICS, Kind, reference
from appliance.metrics.names import UPDATED


def test_every_figure_of_the_engine_is_a_metric_and_no_other():
    assert {metric.field for metric in METRICS} == {field.name for field in dataclasses.fields(EngineStats)}


def test_totals_are_counters_and_the_rest_are_gauges():
    for metric in METRICS:
        counts = metric.name.endswith("_total") and metric.field != "cache_tokens_total"
        assert (metric.kind is Kind.COUNTER) == counts, metric.name


def test_the_reference_has_a_row_for_each():
    text = reference()
    for metric in (UPDATED, *METRICS):
        assert f"| `{metric.name}` | {metric.kind.value} |" in text
