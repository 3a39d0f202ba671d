"""How a server's end is told from that of its model's process."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from pathlib import Path

import pytest

from appliance.child import Exit
from appliance.inference.served import ServedModelSettings
from appliance.triton.locate import locate
from appliance.triton.server import TritonServer, TritonSettings
from tests.triton.installs import make_install
from tests.triton.revival import is_not_revived


class Ending:
    """A child that ends, and whose own child ends, after so many seconds."""

    def __init__(self, own_s: float, model_s: float) -> None:
        self.killed = False
        self.pid = os.getpid()
        self._own_s, self._model_s = own_s, model_s

    async def wait(self) -> Exit:
        await _after(self._own_s)
        return Exit(-signal.SIGKILL)

    async def wait_for_grandchild(self) -> None:
        await _after(self._model_s)

    async def kill(self) -> Exit:
        self.killed = True
        return Exit(-signal.SIGKILL)


async def _after(seconds: float) -> None:
    if math.isinf(seconds):
        await asyncio.Event().wait()
    await asyncio.sleep(seconds)


def how_it_ended(tmp_path: Path, child: Ending) -> str:
    models = (ServedModelSettings("m", tmp_path), ServedModelSettings("n", tmp_path))
    settings = TritonSettings(models, tmp_path, tmp_path, tmp_path, tmp_path / "triton")
    server = TritonServer(
        locate({}, install=make_install(tmp_path / "t")), settings, lambda _line: None, is_not_revived
    )
    server._child = child  # type: ignore[assignment]
    return asyncio.run(server.wait())


@pytest.mark.parametrize("model_s", [0.0, math.inf])
def test_a_killed_server_is_told_as_such_whoever_is_noticed_first(tmp_path: Path, model_s: float):
    child = Ending(own_s=0.01, model_s=model_s)
    assert how_it_ended(tmp_path, child) == "ended by SIGKILL"
    assert not child.killed


def test_a_server_that_outlives_a_model_is_ended(tmp_path: Path):
    child = Ending(own_s=math.inf, model_s=0.0)
    assert how_it_ended(tmp_path, child) == "the process of m, n ended"
    assert child.killed
