"""Locks between processes."""

from __future__ import annotations

import threading
from pathlib import Path

from appliance.lock import if_unused, in_use, locked
from tests.waiting import LIMIT_S


def test_a_second_holder_waits_and_says_so(tmp_path: Path):
    order, waiting = [], threading.Event()

    def second() -> None:
        with locked(tmp_path / "lock", waiting=waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "lock"):
        thread.start()
        assert waiting.wait(LIMIT_S)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_nobody_holds_is_taken_in_silence(tmp_path: Path):
    told = []
    for _ in range(2):
        with locked(tmp_path / "folder" / "lock", waiting=lambda: told.append(1)):
            pass
    assert told == []


def test_a_folder_in_use_is_told_and_one_that_was_left_is_free(tmp_path: Path):
    with in_use(tmp_path), in_use(tmp_path), if_unused(tmp_path) as is_unused:
        assert not is_unused
    with if_unused(tmp_path) as is_unused:
        assert is_unused
