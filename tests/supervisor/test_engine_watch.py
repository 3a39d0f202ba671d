"""The watch over the engines of a set: which of them hang, and what is ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from appliance.layout import Layout
from appliance.supervisor import engine_watch
from appliance.supervisor.engine_watch import EngineWatch

MODELS = ["first", "second"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends only when it is killed."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"]) as running:
        yield running
        running.kill()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch, process: subprocess.Popen[bytes]) -> list[list[str] | None]:
    """What the checks find, one after the other; the process belongs to the model "first"."""
    found: list[list[str] | None] = []

    async def check(_layout: Layout, models: Sequence[str]) -> list[str] | None:
        assert models == MODELS
        return found.pop(0)

    monkeypatch.setattr(engine_watch, "hanging_engines", check)
    monkeypatch.setattr(engine_watch, "model_processes", lambda _triton: {"first": psutil.Process(process.pid)})
    return found


def watch(tmp_path: Path, lines: list[str]) -> EngineWatch:
    return EngineWatch(Layout(tmp_path, tmp_path), MODELS, lambda: 1, lines.append)


def test_only_the_process_of_a_model_that_hangs_several_times_in_a_row_is_ended(tmp_path, hanging, process):
    lines: list[str] = []
    engines = watch(tmp_path, lines)
    hanging += [["first"], ["first"], [], ["first"], ["first"]]
    assert all(asyncio.run(engines.is_alive()) for _ in range(5))
    assert process.poll() is None
    hanging.append(["first"])
    assert asyncio.run(engines.is_alive())
    assert process.wait() < 0
    assert "first" in lines[0]


def test_triton_that_does_not_answer_or_whose_engines_all_hang_is_not_alive(tmp_path, hanging, process):
    engines = watch(tmp_path, [])
    hanging += [None, ["first", "second"]]
    assert not asyncio.run(engines.is_alive())
    assert not asyncio.run(engines.is_alive())
    assert process.poll() is None


def test_a_model_that_was_loaded_again_is_given_new_time(tmp_path, hanging, process, monkeypatch):
    """Triton reports a model as ready before the first figures of its new process."""
    engines = watch(tmp_path, [])
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"]) as other:
        for running in (process, other, process, other):
            found = {"first": psutil.Process(running.pid)}
            monkeypatch.setattr(engine_watch, "model_processes", lambda _triton, found=found: found)
            hanging.append(["first"])
            assert asyncio.run(engines.is_alive())
        assert (process.poll(), other.poll()) == (None, None)
        other.kill()
