"""The watch on a captured tree that heats up and cools down, by itself and with the engine on it."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.engine.engine import Engine
from appliance.engine.request import Request
from appliance.inference.events import FinishEvent
from appliance.inference.sampling import SamplingParams
from appliance.jetson import HeatWatch, read_board
from tests.engine.toy import CONFIG, MANIFEST, TOKENIZER, HereGrammars, ToyRunner
from tests.jetson.captured import heat, unpack
from tests.waiting import LIMIT_S, wait_until


class Clock:
    """Advances a minute a look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 60.0
        return self.now


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return unpack("orin-nano", tmp_path)


def _watch(root: Path, slots: int) -> HeatWatch:
    board = read_board(root)
    assert board is not None
    return HeatWatch(slots, board, lambda: read_board(root), Clock())


def test_it_follows_the_board(root: Path):
    watch = _watch(root, 9)
    seen = []
    for celsius in (75, 91, 94, 98, 99.5, 92, 60, 60, 60):
        heat(root, celsius)
        watch.look()
        seen.append(watch.allowed())
    assert seen == [9, 7, 4, 1, 1, 2, 3, 4, 5]
    assert watch.board.zones[0].celsius == 60


def test_a_board_that_is_hot_at_the_start_begins_with_few(root: Path):
    heat(root, 98)
    assert _watch(root, 8).allowed() == 1


def test_sensors_that_go_away_change_nothing(root: Path):
    heat(root, 94)
    watch = _watch(root, 9)
    assert watch.allowed() == 4
    for path in root.glob("sys/class/thermal/thermal_zone*/temp"):
        path.unlink()
    watch.look()
    (root / "etc/nv_tegra_release").unlink()
    (root / "proc/device-tree/model").unlink()
    watch.look()
    assert watch.allowed() == 4


def test_a_machine_that_is_no_jetson_has_no_watch(tmp_path: Path):
    assert HeatWatch.open(4, tmp_path) is None


def test_an_open_watch_looks_by_itself_until_it_is_closed(root: Path):
    watch = HeatWatch.open(4, root)
    assert watch is not None
    assert watch.allowed() == 4
    heat(root, 99)
    wait_until(lambda: watch.allowed() == 1)
    watch.close()
    heat(root, 20)
    assert watch.board.zones[0].celsius == 99


def test_the_engine_lets_in_fewer_on_a_hot_board_and_all_again_when_it_has_cooled(root: Path):
    watch = _watch(root, CONFIG.slots)
    seen: list[int] = []
    all_sent = threading.Event()

    class Noting(ToyRunner):
        """Notes with how many sequences each step of decoding runs; begins when all requests have been sent."""

        def prefill(self, slot, start, tokens):
            assert all_sent.wait(LIMIT_S)
            return super().prefill(slot, start, tokens)

        def decode(self, tokens, lengths):
            seen.append(len(tokens))
            return super().decode(tokens, lengths)

    engine = Engine(
        MANIFEST, TOKENIZER, HereGrammars(), Noting(CONFIG.slots * 2), replace(CONFIG, max_queue=64), watch.allowed
    )
    sampling = SamplingParams(temperature=0.0, max_tokens=10, ignore_eos=True)

    def load() -> int:
        """Run twelve requests; returns with how many at once at most."""
        seen.clear()
        all_sent.clear()
        events: queue.SimpleQueue[object] = queue.SimpleQueue()
        for index in range(12):
            engine.submit(Request(str(index), (1, 2, index), sampling), events.put)
        all_sent.set()
        ends = 0
        while ends < 12:
            ends += isinstance(events.get(timeout=LIMIT_S), FinishEvent)
        return max(seen)

    try:
        assert load() == 3
        heat(root, 98)
        watch.look()
        assert load() == 1
        heat(root, 60)
        watch.look()
        assert load() == 2
        watch.look()
        assert load() == 3
    finally:
        engine.close()
