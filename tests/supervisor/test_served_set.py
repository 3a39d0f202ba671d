"""A set of two models on a real Triton: each has its own slots, figures and process, and one gateway offers both."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.config import Config
from appliance.inference.config import EngineConfig
from appliance.layout import Layout
from appliance.supervisor import state
from appliance.supervisor.assemble import BoxModel, BoxSettings, serve
from appliance.supervisor.choose import choose
from appliance.supervisor.state import UpState
from appliance.supervisor.status import BoxStatus, ModelStatus, look
from appliance.triton.locate import locate
from appliance.triton.model_process import model_processes
from tests.tiny_artefact import make_tiny_artefact
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
SLOTS = {"first": 2, "second": 3}


def _plan(root: Path) -> BoxSettings:
    layout = Layout(root, root / "cache")
    for name in SLOTS:
        make_tiny_artefact(layout.plain_artefact(name, "cpu", "balanced"), root / f"scratch-{name}", name)
    layout.run.mkdir()

    def free() -> Address:
        return Address("127.0.0.1", 0).check_free("a test")

    models = tuple(
        BoxModel(choose(layout, name, "cpu", None), EngineConfig(slots=slots, cache_bytes=50_000_000, threads=1))
        for name, slots in SLOTS.items()
    )
    return BoxSettings(layout, Config(), Policy(), models, locate(os.environ), free(), free(), free())


class _Visitor(threading.Thread):
    """Does something to a box that runs in this process' main thread, then ends it as a person would."""

    def __init__(self, settings: BoxSettings, script: Callable[[BoxSettings], None]) -> None:
        super().__init__()
        self.fault: BaseException | None = None
        self._plan, self._script = settings, script

    def run(self) -> None:
        try:
            self._script(self._plan)
        except BaseException as fault:  # noqa: BLE001 - raised again where pytest sees it
            self.fault = fault
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


def _serve(settings: BoxSettings, script: Callable[[BoxSettings], None]) -> list[str]:
    """Serve until the script has ended; returns what the box said."""
    said: list[str] = []
    visitor = _Visitor(settings, script)

    def ready(_up: UpState) -> None:
        visitor.start()

    assert asyncio.run(serve(settings, said.append, ready)) == 0
    visitor.join()
    if visitor.fault:
        raise visitor.fault
    return said


def _ask(settings: BoxSettings, path: str, **body: object) -> dict[str, object]:
    request = urllib.request.Request(f"http://{settings.http}{path}", headers={"Content-Type": "application/json"})
    request.data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310 - it is our own box
        return json.load(answer)  # type: ignore[no-any-return]


def _complete(settings: BoxSettings, model: str) -> str:
    body = {"model": model, "prompt": "Once", "max_tokens": 3, "temperature": 0, "ignore_eos": True}
    return str(_ask(settings, "/v1/completions", **body)["model"])


def _status(settings: BoxSettings) -> BoxStatus:
    found = look(settings.layout)
    assert found
    return found


def _by_model(settings: BoxSettings) -> dict[str, ModelStatus]:
    return {model.state.name: model for model in _status(settings).models}


def _processes(settings: BoxSettings) -> dict[str, psutil.Process]:
    up = state.read(settings.layout.run)
    assert up
    assert up.triton_pid
    return model_processes(up.triton_pid)


def test_each_model_of_a_set_is_asked_by_its_name_and_has_its_own_figures(tmp_path: Path):
    def script(settings: BoxSettings) -> None:
        assert [card["id"] for card in _ask(settings, "/v1/models")["data"]] == list(SLOTS)  # type: ignore[attr-defined]
        assert _complete(settings, "second") == "second"
        # Each has had the request that proves it at the start, and one of them ours.
        finished = {"first": 1, "second": 2}
        wait_until(lambda: {name: m.requests.get("length") for name, m in _by_model(settings).items()} == finished)
        status, models = _status(settings), _by_model(settings)
        assert status.up.names == tuple(SLOTS)
        assert status.healthy
        assert {name: model.figures["slots"] for name, model in models.items()} == SLOTS
        assert status.figures["slots"] == sum(SLOTS.values())
        assert status.memory_bytes["engine"] > max(model.memory_bytes or 0 for model in models.values()) > 1 << 20
        for name, slots in SLOTS.items():
            assert _ask(settings, f"/v1/models/{name}/queue")["slots"] == slots
        assert _processes(settings).keys() == SLOTS.keys()

    _serve(_plan(tmp_path), script)


def test_a_model_whose_process_dies_is_named_and_served_again(tmp_path: Path):
    def script(settings: BoxSettings) -> None:
        dead = _processes(settings)["second"]
        dead.kill()
        wait_until(lambda: _processes(settings).get("second", dead) != dead and _status(settings).healthy)
        assert [_complete(settings, name) for name in SLOTS] == list(SLOTS)

    said = _serve(_plan(tmp_path), script)
    assert any("the process of second ended" in line for line in said)
