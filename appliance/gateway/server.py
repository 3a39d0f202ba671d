"""The gateway as a whole: builds its parts, serves until told to stop, drains."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from appliance.gateway.access_log import log
from appliance.gateway.desk import Desk
from appliance.gateway.grpc_service import InferenceService
from appliance.gateway.in_flight import InFlight
from appliance.gateway.kserve.service import KServeService
from appliance.gateway.listeners import GrpcListener, HttpListener
from appliance.gateway.metrics.ledger import Ledger
from appliance.gateway.metrics.page import MetricsPage
from appliance.gateway.openai.http_app import OpenAiApi
from appliance.gateway.readiness import Readiness
from appliance.gateway.served_model import ServedModels
from appliance.gateway.settings import Settings
from appliance.gateway.traffic import Traffic
from appliance.gateway.triton_client import TritonClient

# After the drain's limit the remaining requests are told; this long they have to pass it on.
_LAST_WORDS_S = 3.0


class Gateway:
    """One running gateway; made inside the event loop that serves it."""

    def __init__(self, settings: Settings) -> None:
        """Read the artefacts and bind both addresses.

        Raises:
            ApplianceError: an artefact cannot be read, or an address not be used.
        """
        models = ServedModels.load(settings.artefacts)
        traffic = Traffic(settings.slots)
        triton = TritonClient(settings.triton, traffic)
        names = [model.name for model in models.all]
        in_flight = InFlight(settings.max_requests, settings.write_timeout_s)
        readiness = Readiness(triton, names)
        ledger = Ledger(names, lambda: len(in_flight), readiness.is_ready)
        self._desk = Desk(settings, models, triton, in_flight, readiness, traffic, ledger)
        self.http = HttpListener(
            OpenAiApi(self._desk).application(), settings.http.check_loopback(), settings.write_timeout_s
        )
        self.grpc = GrpcListener(
            InferenceService(self._desk),
            KServeService(self._desk),
            settings.grpc.check_loopback(),
            settings.max_body_bytes,
        )
        self.metrics = HttpListener(
            MetricsPage(ledger, settings.triton_metrics).application(),
            settings.metrics.check_loopback(),
            settings.write_timeout_s,
        )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve inside the block; leaving it drains."""
        watchers = [
            asyncio.create_task(self._desk.readiness.watch(self._tell_health)),
            asyncio.create_task(self._desk.in_flight.watch_stalls()),
        ]
        try:
            await self.http.start()
            await self.grpc.start()
            await self.metrics.start()
            addresses = {"http": self.http.address, "grpc": self.grpc.address, "metrics": self.metrics.address}
            log.info("listening", extra={"fields": {name: str(address) for name, address in addresses.items()}})
            yield
        finally:
            await self._drain()
            for watcher in watchers:
                watcher.cancel()
            await self._desk.triton.close()

    async def _tell_health(self) -> None:
        waiting = self._desk.readiness.waiting_for
        log.info("readiness", extra={"fields": {"ready": not waiting, "waiting_for": waiting}})
        await self.grpc.set_serving(serving=not waiting)

    async def _drain(self) -> None:
        """1. Accept nothing more. 2. Let running requests finish. 3. Tell the rest. 4. Close what is left."""
        limit_s = self._desk.settings.drain_s
        log.info("draining", extra={"fields": {"requests": len(self._desk.in_flight), "limit_s": limit_s}})
        self.http.stop_accepting()
        grpc_closed = asyncio.create_task(self.grpc.close(limit_s + _LAST_WORDS_S))
        await self._desk.in_flight.drain(limit_s)
        await self.http.close(_LAST_WORDS_S)
        await grpc_closed
        # Last: whoever watches the box sees the end of the drain.
        await self.metrics.close(_LAST_WORDS_S)
        log.info("drained")
