"""The process of one model of a set ends; the other models answer on."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.layout import Layout
from appliance.supervisor.status import look
from appliance.triton.model_process import model_processes
from tests.configuration.test_engine_keys import ADDRESSES, ConfiguredBox
from tests.tiny_artefact import make_tiny_artefact
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
CONFIGURATION = f"""\
[serve]
slots = 4
cache_bytes = 50_000_000
{ADDRESSES}
[[serve.model]]
name = "first"
[[serve.model]]
name = "second"
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ConfiguredBox]:
    root = tmp_path / "box"
    for name in ("first", "second"):
        make_tiny_artefact(root / "exports" / name / "cpu-balanced", root / f"scratch-{name}", name)
    with ConfiguredBox(root, CONFIGURATION) as running:
        yield running


class Stream:
    """A streamed completion of a model: whether it has begun, and what it ended with."""

    def __init__(
        self, box: ConfiguredBox, model: str, pool: concurrent.futures.Executor, max_tokens: int = 60_000
    ) -> None:
        self.has_begun = threading.Event()
        self._box = box
        self._body = {"model": model, "prompt": "a", "max_tokens": max_tokens, "ignore_eos": True, "stream": True}
        self._end = pool.submit(self._read)

    @property
    def last(self) -> str:
        """The data of its last event."""
        return self._end.result(LIMIT_S)

    def _read(self) -> str:
        last = ""
        with httpx.stream("POST", f"{self._box.state.url}/v1/completions", json=self._body, timeout=LIMIT_S) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    last = line.removeprefix("data: ")
                    self.has_begun.set()
        return last


def complete(box: ConfiguredBox, model: str) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "prompt": "Once", "max_tokens": 3}
    return httpx.post(f"{box.state.url}/v1/completions", json=body, timeout=LIMIT_S)


def kill(box: ConfiguredBox, model: str) -> None:
    """Kill the process of a model."""
    triton = box.state.triton_pid
    assert triton
    process = model_processes(triton)[model]
    os.kill(process.pid, signal.SIGKILL)


def test_a_model_whose_process_ends_is_loaded_again_while_another_streams_on(box: ConfiguredBox):
    triton = box.state.triton_pid
    with concurrent.futures.ThreadPoolExecutor() as pool:
        streams = [Stream(box, "second", pool, 2000), Stream(box, "first", pool), Stream(box, "first", pool)]
        assert all(stream.has_begun.wait(LIMIT_S) for stream in streams)
        kill(box, "first")
        # A stream that has begun ends with an error, at once.
        for stream in streams[1:]:
            assert "error" in json.loads(stream.last)
        wait_until(lambda: complete(box, "first").status_code == 200)
        assert streams[0].last == "[DONE]"
    assert (box.state.triton_pid, box.state.triton_restarts) == (triton, 0)
    status = look(Layout(box.root, box.root / "cache"))
    assert status is not None
    assert status.healthy
    # Triton could abort at a further reload.
    kill(box, "first")
    wait_until(lambda: box.state.triton_restarts == 1)
    wait_until(lambda: complete(box, "first").status_code == 200)
    assert complete(box, "second").status_code == 200


def test_requests_during_the_reload_are_refused_at_once_with_a_time_to_try_again(box: ConfiguredBox):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        stream = Stream(box, "second", pool)
        assert stream.has_begun.wait(LIMIT_S)
        kill(box, "second")
    answers = []

    def refused() -> bool:
        answers.append(complete(box, "second"))
        return answers[-1].status_code == 503

    wait_until(refused)
    assert "retry-after" in answers[-1].headers
    wait_until(lambda: complete(box, "second").status_code == 200)
    assert box.state.triton_restarts == 0
    # What Triton kept of the dead process does not disturb the end of the box.
    box.process.terminate()
    assert box.process.wait(LIMIT_S) == 0
