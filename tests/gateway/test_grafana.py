"""The dashboard is a file that Grafana imports, and every expression in it is PromQL over metrics that we document."""

from __future__ import annotations

import json
import re
from pathlib import Path

import promql_parser
import pytest

from tests.gateway.dashboard import DASHBOARD, expressions, selectors

DOCUMENTED = Path(DASHBOARD).parents[1] / "metrics.md"


def test_every_expression_is_promql():
    found = list(expressions())
    assert len(found) > 20
    for expression in found:
        promql_parser.parse(expression)


def test_a_name_that_is_wrong_would_be_seen():
    (selector,) = selectors("sum by (le) (rate(not_ours_bucket{model='a'}[5m]))")
    assert (selector.name, selector.labels) == ("not_ours_bucket", {"model", "le"})
    with pytest.raises(ValueError, match="unexpected"):
        promql_parser.parse("rate(x[5m)")


def test_every_metric_of_ours_in_it_is_documented():
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE))
    used = {selector.name for expression in expressions() for selector in selectors(expression)}
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used if not name.startswith(("nv_", "process_"))}
    assert ours
    assert ours <= documented


def test_it_shows_what_the_box_is_judged_by():
    used = {selector.name for expression in expressions() for selector in selectors(expression)}
    assert used >= {
        "gen_ai_server_time_to_first_token_seconds_bucket",
        "gen_ai_server_time_per_output_token_seconds_bucket",
        "gen_ai_client_token_usage_sum",
        "appliance_gateway_refusals_total",
        "appliance_queue_length",
        "appliance_slots_busy",
        "appliance_cache_tokens_used",
        "appliance_cached_tokens_total",
    }


def test_panels_have_ids_places_and_sources_of_their_own():
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
