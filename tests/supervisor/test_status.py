import asyncio
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance import http
from appliance.address import Address
from appliance.disk import Disk
from appliance.layout import Layout
from appliance.metrics import parse
from appliance.supervisor import status
from appliance.supervisor.state import ModelState
from appliance.supervisor.status import BoxStatus, ModelStatus, hanging_engines, is_alive
from tests.supervisor.states import MODEL, OTHER_MODEL, STATE

NOW = 1_700_000_000.0


def _figures(updated: float, accepts: int) -> str:
    return f'appliance_updated_seconds{{model="m"}} {updated}\nappliance_accepts_requests{{model="m"}} {accepts}\n'


@pytest.mark.parametrize(
    ("text", "alive"),
    [
        pytest.param(_figures(NOW - 1, 1), True, id="fresh"),
        pytest.param(_figures(NOW - 60, 1), False, id="the engine's process hangs"),
        pytest.param(_figures(NOW + 3600, 1), False, id="the clock was set back since"),
        pytest.param(_figures(NOW - 1, 0), False, id="a fault ended the engine"),
        pytest.param("", False, id="no figures"),
    ],
)
def test_an_engine_is_alive_when_its_figures_are_fresh_and_it_takes_requests(text: str, alive: bool):
    assert is_alive(parse(text), NOW) is alive


def _model(state: ModelState, **figures: float) -> ModelStatus:
    return ModelStatus(state, figures.get("accepts_requests") == 1, figures, {"stop": 2, "error": 0})


def _box(*models: ModelStatus) -> BoxStatus:
    up = dataclasses.replace(STATE, models=tuple(model.state for model in models))
    return BoxStatus(up, 1.0, models, gateway_healthy=True, ready=True, memory_bytes={}, disk=Disk(0, is_full=False))


def test_the_figures_of_the_box_are_those_of_its_models_together():
    box = _box(
        _model(MODEL, accepts_requests=1, slots=4, slots_busy=1, max_context_tokens=100, slots_allowed=2),
        _model(OTHER_MODEL, accepts_requests=1, slots=2, slots_busy=2, max_context_tokens=50),
    )
    together = {"accepts_requests": 1, "slots": 6, "slots_busy": 3, "max_context_tokens": 50, "slots_allowed": 2}
    assert box.figures == together
    assert box.requests == {"stop": 4, "error": 0}
    assert box.healthy


@pytest.mark.parametrize("figures", [{"accepts_requests": 0}, {}, {"accepts_requests": 1, "files_changed": 1}])
def test_one_model_that_is_not_well_makes_the_box_unhealthy(figures: dict[str, float]):
    assert not _box(_model(MODEL, accepts_requests=1), _model(OTHER_MODEL, **figures)).healthy


def test_every_engine_that_is_loaded_must_have_fresh_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One model's figures do not speak for another's; an unloaded model has none."""
    lines = [_figures(time.time(), 1), _figures(time.time() - 60, 1).replace('"m"', '"n"')]
    answer: tuple[int, str] | None = (http.OK, "".join(lines))

    async def page(*_: object) -> tuple[int, str] | None:
        return answer

    async def ready(_layout: Layout, models: Sequence[str]) -> list[str]:
        assert models == ["n"]
        return [] if is_unloading else ["n"]

    monkeypatch.setattr(http, "get", page)
    monkeypatch.setattr(status, "_ready", ready)
    layout = Layout(tmp_path, tmp_path)
    is_unloading = False
    assert asyncio.run(hanging_engines(layout, ["m"])) == []
    assert asyncio.run(hanging_engines(layout, ["m", "absent"])) == []
    assert asyncio.run(hanging_engines(layout, ["n"])) == ["n"]
    assert asyncio.run(hanging_engines(layout, ["m", "n"])) == ["n"]
    is_unloading = True
    assert asyncio.run(hanging_engines(layout, ["m", "n"])) == []
    answer = None
    assert asyncio.run(hanging_engines(layout, ["m"])) is None


@pytest.mark.parametrize(
    ("load", "healthy"),
    [
        ({}, False),
        ({"state": "loaded"}, False),
        ({"state": "unloaded"}, True),
        ({"state": "loading"}, True),
        ({"state": "failed", "error": "damaged"}, False),
    ],
)
def test_a_model_that_need_not_be_loaded_is_healthy_without_figures(load: dict[str, str], healthy: bool):
    found = status._model(MODEL, (), None, load)
    assert (found.healthy, found.load_state, found.error) == (healthy, load.get("state"), load.get("error"))


def _ask(answer: bytes | None, timeout_s: float = 30.0) -> tuple[int, str] | None:
    """Ask a server that reads the request and answers this; None: it never answers."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await done.wait()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    async def run() -> tuple[int, str] | None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            host, port = server.sockets[0].getsockname()
            return await http.get(Address(host, port), "/metrics", timeout_s)
        finally:
            done.set()
            server.close()

    return asyncio.run(run())


def test_status_and_body_are_read():
    assert _ask(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nup 1\n") == (200, "up 1\n")
    assert _ask(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") == (503, "")


@pytest.mark.parametrize("answer", [b"", b"nonsense", b"HTTP/1.1\r\n\r\n"])
def test_an_answer_in_another_form_counts_as_none(answer: bytes):
    assert _ask(answer) is None


def test_a_server_that_does_not_answer_counts_as_none():
    assert _ask(None, timeout_s=0.05) is None


def test_nobody_there_counts_as_none():
    assert asyncio.run(http.get(Address("127.0.0.1", 1), "/")) is None
