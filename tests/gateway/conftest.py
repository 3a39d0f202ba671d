"""A gateway over a fake Triton, both in one event loop on a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from appliance.address import Address
from appliance.gateway.server import Gateway
from appliance.gateway.settings import Settings
from tests.gateway.fake_triton import FakeTriton
from tests.gateway.tiny_artefact import write_artefact

PATIENCE_S = 20.0


class LoopThread:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="gateway-loop")
        self._thread.start()

    def run(self, coroutine: Awaitable[Any]) -> Any:
        async def wrapped() -> Any:
            return await coroutine

        return asyncio.run_coroutine_threadsafe(wrapped(), self.loop).result(timeout=60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Harness:
    """One gateway with its fake Triton."""

    def __init__(self, thread: LoopThread, artefacts: tuple[Path, ...], **limits: Any) -> None:
        self._thread = thread
        self._artefacts = artefacts
        self._limits = limits
        self._stack = contextlib.AsyncExitStack()
        self.triton = FakeTriton()
        self.gateway: Gateway = thread.run(self._start())
        self.url = f"http://{self.gateway.http.address}"
        self.grpc_address = str(self.gateway.grpc.address)

    async def _start(self) -> Gateway:
        await self.triton.start()
        anywhere = Address("127.0.0.1", 0)
        settings = Settings(Address("127.0.0.1", self.triton.port), anywhere, anywhere, self._artefacts, **self._limits)
        gateway = Gateway(settings)
        await self._stack.enter_async_context(gateway.serving())
        return gateway

    def run(self, coroutine: Awaitable[Any]) -> Any:
        """Run on the gateway's loop."""
        return self._thread.run(coroutine)

    def kill_triton(self) -> None:
        self.run(self.triton.stop())

    def restart_triton(self) -> None:
        self.run(self.triton.start())

    def drain(self) -> None:
        self.run(self._stack.aclose())

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that happens soon; fails after PATIENCE_S."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                pytest.fail("it did not happen")
            time.sleep(0.01)

    def close(self) -> None:
        self.drain()
        self.kill_triton()


@pytest.fixture(scope="session")
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    root = tmp_path_factory.mktemp("artefacts")
    return (
        write_artefact(root / "instruct"),
        write_artefact(root / "base", model="tiny-base", template=None),
    )


@pytest.fixture(scope="session")
def shared_harness(loop_thread: LoopThread, artefacts: tuple[Path, ...]) -> Iterator[Harness]:
    harness = Harness(loop_thread, artefacts, drain_s=0.2)
    harness.wait_until(lambda: httpx.get(f"{harness.url}/health/ready").status_code == 200)
    yield harness
    harness.close()


@pytest.fixture
def harness(shared_harness: Harness) -> Harness:
    """The shared gateway, its fake Triton as new."""
    fresh = FakeTriton()
    shared_harness.triton.script = fresh.script
    shared_harness.triton.asked.clear()
    return shared_harness


@pytest.fixture
def make_harness(loop_thread: LoopThread, artefacts: tuple[Path, ...]) -> Iterator[Callable[..., Harness]]:
    """Makes a gateway of the test's own, with its own limits."""
    made: list[Harness] = []

    def make(**limits: Any) -> Harness:
        harness = Harness(loop_thread, artefacts, **{"drain_s": 0.2, **limits})
        made.append(harness)
        harness.wait_until(lambda: httpx.get(f"{harness.url}/health/ready").status_code == 200)
        return harness

    yield make
    for harness in made:
        harness.close()


@pytest.fixture
def client(harness: Harness) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{harness.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def http(harness: Harness) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=harness.url, timeout=30) as client:
        yield client
