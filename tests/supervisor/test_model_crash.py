"""The process of one model of a set ends; the other models answer on."""

from __future__ import annotations

import concurrent.futures
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


def complete(box: ConfiguredBox, model: str, **more: Any) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "prompt": "Once", "max_tokens": 3, **more}
    return httpx.post(f"{box.state.url}/v1/completions", json=body, timeout=LIMIT_S)


def busy(box: ConfiguredBox, model: str) -> float:
    """The slots of a model that compute now."""
    status = look(Layout(box.root, box.root / "cache"))
    assert status is not None
    return next(one.figures.get("slots_busy", 0) for one in status.models if one.state.name == model)


def kill(box: ConfiguredBox, model: str) -> None:
    """Kill the process of a model."""
    triton = box.state.triton_pid
    assert triton
    process = model_processes(triton)[model]
    os.kill(process.pid, signal.SIGKILL)


def test_a_model_whose_process_ends_is_loaded_again_while_another_streams_on(box: ConfiguredBox):
    triton = box.state.triton_pid
    with concurrent.futures.ThreadPoolExecutor() as pool:
        stream = Stream(box, "second", pool, 2000)
        # A stream sends a message for each token: Triton aborts if the process dies while it holds the lock for one.
        waiting = [pool.submit(complete, box, "first", max_tokens=60_000, ignore_eos=True) for _ in range(2)]
        wait_until(lambda: busy(box, "first") == 2)
        kill(box, "first")
        # They end at once, with an error.
        assert [answer.result(LIMIT_S).status_code for answer in waiting] == [503, 503]
        wait_until(lambda: complete(box, "first").status_code == 200)
        assert stream.last == "[DONE]"
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
        waiting = pool.submit(complete, box, "second", max_tokens=60_000, ignore_eos=True)
        wait_until(lambda: busy(box, "second") == 1)
        kill(box, "second")
        assert waiting.result(LIMIT_S).status_code == 503
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


def test_a_damaged_model_does_not_keep_the_others_from_starting(tmp_path: Path):
    root = tmp_path / "box"
    for name in ("first", "second"):
        make_tiny_artefact(root / "exports" / name / "cpu-balanced", root / f"scratch-{name}", name)
    weights = root / "exports" / "first" / "cpu-balanced" / "model.onnx.data"
    content = weights.read_bytes()
    weights.chmod(0o600)
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with ConfiguredBox(root, CONFIGURATION) as box:
        assert complete(box, "second").status_code == 200
        assert complete(box, "first").status_code == 404
        assert "model.onnx.data" in box.output.read_text()
    weights.write_bytes(content)
    with ConfiguredBox(root, CONFIGURATION) as box:
        assert complete(box, "first").status_code == 200


def test_a_model_that_triton_cannot_load_does_not_keep_the_others_from_starting(tmp_path: Path):
    root = tmp_path / "box"
    for name in ("first", "second"):
        make_tiny_artefact(root / "exports" / name / "cpu-balanced", root / f"scratch-{name}", name)
    beyond = CONFIGURATION.replace('name = "first"', 'name = "first"\nmax_context_tokens = 100_000_000')
    with ConfiguredBox(root, beyond) as box:
        assert complete(box, "second").status_code == 200
        wait_until(lambda: complete(box, "first").status_code == 503, told=box.output.read_text)
        assert "first cannot be loaded" in box.output.read_text()
        assert box.state.triton_restarts == 0
