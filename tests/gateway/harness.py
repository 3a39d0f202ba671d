"""A gateway over a fake Triton, both in one event loop on a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import threading
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any

from appliance.address import Address
from appliance.gateway.server import Gateway
from appliance.gateway.settings import OfferedModel, Settings
from tests.gateway.fake_triton import FakeTriton
from tests.waiting import LIMIT_S, wait_until


class LoopThread:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="gateway-loop")
        self._thread.start()

    def run(self, coroutine: Awaitable[Any]) -> Any:
        async def wrapped() -> Any:
            return await coroutine

        return asyncio.run_coroutine_threadsafe(wrapped(), self.loop).result(timeout=LIMIT_S)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Harness:
    """One gateway with its fake Triton."""

    def __init__(
        self, thread: LoopThread, artefacts: tuple[Path, ...], slots: Iterable[int] = itertools.repeat(8), **limits: Any
    ) -> None:
        self._thread = thread
        self._models = tuple(map(OfferedModel, artefacts, slots))
        self._limits = limits
        self._stack = contextlib.AsyncExitStack()
        self.triton = FakeTriton()
        self.gateway: Gateway = thread.run(self._start())
        scheme = "https" if self.gateway._services.settings.policy.tls else "http"
        self.url = f"{scheme}://{self.gateway.http.address}"
        self.grpc_address = str(self.gateway.grpc.address)
        self.metrics_url = f"http://{self.gateway.metrics.address}/metrics"

    async def _start(self) -> Gateway:
        await self.triton.start()
        anywhere = Address("127.0.0.1", 0)
        settings = Settings(self.triton.sockets, anywhere, anywhere, self._models, anywhere, **self._limits)
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

    @property
    def is_draining(self) -> bool:
        return self.gateway._services.in_flight._draining.is_set()

    def drain(self) -> None:
        self.run(self._stack.aclose())

    def wait_until_ready(self) -> None:
        wait_until(lambda: not self.gateway._services.readiness.waiting_for)

    def close(self) -> None:
        self.drain()
        self.kill_triton()
        shutil.rmtree(self.triton.sockets)
