"""The shim's reporter, without Triton: which time series it makes, and what they hold when a figure goes away."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from appliance.engine.engine import Engine
from appliance.jetson import HeatWatch, read_board
from appliance.metrics import BOARD
from tests.engine.toy import CONFIG, MANIFEST, TOKENIZER, HereGrammars, ToyRunner
from tests.jetson.captured import heat, unpack

SHIM = Path(__file__).resolve().parents[2] / "model_repository" / "shared"


class Page:
    """What Triton's metrics page would hold. A series stays when its object ends, as Triton 2.51's do."""

    GAUGE, COUNTER = "gauge", "counter"

    def __init__(self) -> None:
        self.families: set[str] = set()
        self.series: dict[tuple[str, str], float] = {}

    def family(self, name: str, description: str, kind: str) -> Any:  # noqa: ARG002 - Triton's names
        self.families.add(name)
        return SimpleNamespace(Metric=lambda labels: Series(self, name, labels))


class Series:
    """Triton's Metric object."""

    def __init__(self, page: Page, name: str, labels: dict[str, str]) -> None:
        self._page = page
        self._key = (name, ",".join(value for label, value in sorted(labels.items()) if label != "model"))
        assert self._key not in page.series
        page.series[self._key] = 0.0

    def set(self, value: float) -> None:
        self._page.series[self._key] = value

    def increment(self, value: float) -> None:
        assert value >= 0
        self._page.series[self._key] += value


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def shim(monkeypatch: pytest.MonkeyPatch, page: Page) -> Iterator[ModuleType]:
    """The shim's `reporter` module over a stand-in for what Triton puts into its process."""

    class Family:
        GAUGE, COUNTER = Page.GAUGE, Page.COUNTER

        def __new__(cls, **options: str) -> Any:
            return page.family(**options)

    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", SimpleNamespace(MetricFamily=Family))
    monkeypatch.syspath_prepend(str(SHIM))
    module = importlib.import_module("reporter")
    monkeypatch.setattr(module.signal, "setitimer", lambda *_: None)
    yield module
    sys.modules.pop("reporter", None)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(MANIFEST, TOKENIZER, HereGrammars(), ToyRunner(CONFIG.slots * 2), CONFIG)
    yield made
    made.close()


def test_on_a_machine_that_is_no_jetson_there_is_nothing_of_a_board(shim: ModuleType, page: Page, engine: Engine):
    reporter = shim.Reporter(engine, "m", None)
    assert ("appliance_slots", "") in page.series
    assert not page.families & {metric.name for metric in BOARD}
    reporter.close()


def test_a_board_s_figures_follow_it_and_are_not_numbers_when_they_are_gone(
    shim: ModuleType, page: Page, engine: Engine, tmp_path: Path
):
    root = unpack("orin-nano", tmp_path)
    board = read_board(root)
    assert board is not None
    times = iter(range(0, 10_000, 60))
    watch = HeatWatch(CONFIG.slots, board, lambda: read_board(root), lambda: float(next(times)))
    reporter = shim.Reporter(engine, "m", watch)
    try:
        assert page.series["appliance_slots_allowed", ""] == CONFIG.slots
        assert page.series["appliance_board_temperature_celsius", "gpu-thermal"] == 49.4
        assert ("appliance_board_temperature_celsius", "cv0-thermal") not in page.series
        assert page.series["appliance_board_power_mode", "15W"] == 1.0
        assert page.series["appliance_board_overcurrent_total", ""] == 52
        heat(root, 99)
        (root / "sys/class/thermal/thermal_zone1/temp").unlink()
        (root / "var/lib/nvpmodel/status").write_text("pmode:0002 fmode:fanNull")
        (root / "sys/class/hwmon/hwmon3/oc3_event_cnt").write_text("40\n")
        (root / "sys/class/hwmon/hwmon1/name").unlink()
        watch.look()
        reporter._report()
        assert page.series["appliance_slots_allowed", ""] == 1
        assert page.series["appliance_board_headroom_celsius", ""] == 0.0
        assert math.isnan(page.series["appliance_board_temperature_celsius", "gpu-thermal"])
        assert math.isnan(page.series["appliance_board_power_mode", "15W"])
        assert page.series["appliance_board_power_mode", "MAXN_SUPER"] == 1.0
        assert page.series["appliance_board_overcurrent_total", ""] == 55
        assert math.isnan(page.series["appliance_board_power_watts", ""])
        written = dict(page.series)
        reporter._report()
        assert {key for key, value in page.series.items() if value != written[key] and not math.isnan(value)} <= {
            ("appliance_updated_seconds", ""),
            ("appliance_tokens_per_second", ""),
            ("appliance_rss_bytes", ""),
        }
    finally:
        reporter.close()
