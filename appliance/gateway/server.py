"""The gateway: creates its parts, serves until it is stopped, drains."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Sequence

from starlette.types import ASGIApp

from appliance import unix_socket
from appliance.address import Address
from appliance.capacity.memory import SYSTEM_BYTES
from appliance.config import ModelConfig
from appliance.gateway.access.client_address import ClientAddress
from appliance.gateway.access.door import Door
from appliance.gateway.access.reading import Reading
from appliance.gateway.access_log import log
from appliance.gateway.admin import AdminApi, AdminConnection
from appliance.gateway.answering.answering import Answering
from appliance.gateway.answering.in_flight import InFlight
from appliance.gateway.answering.wait_estimator import WaitEstimator
from appliance.gateway.chat.served_models import AnyModel, ServedModels, load_model
from appliance.gateway.http.connections import Connection, ConnectionLimit
from appliance.gateway.http_app import main_application, triton_application
from appliance.gateway.inference_v1.service import InferenceService
from appliance.gateway.kserve.service import KServeService
from appliance.gateway.listeners import GrpcListener, HttpListener, bind
from appliance.gateway.loading.loaded_models import LoadedModels
from appliance.gateway.loading.offer import Offer
from appliance.gateway.metrics.ledger import Ledger
from appliance.gateway.metrics_page import MetricsPage
from appliance.gateway.routing.model_routes import Decisions, ModelRoutes
from appliance.gateway.rpc.door import GrpcDoor
from appliance.gateway.services import Services
from appliance.gateway.settings import Settings
from appliance.gateway.tls import http_context
from appliance.gateway.triton.channel import TritonChannel
from appliance.gateway.triton.inference import Inference
from appliance.gateway.triton.model_control import ModelControl
from appliance.gateway.triton.questions import Questions
from appliance.gateway.triton.readiness import Readiness
from appliance.memory import available_bytes, total_bytes
from appliance.site.policy import Origin
from appliance.site.policy import Policy as SitePolicy
from appliance.site.routes import Routes

# After the drain's time limit, the remaining requests get an error; this is the time to send it.
_LAST_WORDS_S = 3.0
_METRICS_CONNECTIONS = 64


class Gateway:
    """One running gateway; create it inside the event loop that serves it."""

    def __init__(self, settings: Settings) -> None:
        """Load the artefacts and bind all addresses.

        Raises:
            ApplianceError: an artefact cannot be read, an address cannot be used or needs TLS and authentication.
        """
        settings.policy.check(*settings.addresses)
        if settings.is_proxied:
            settings.policy.check_proxied()
        self._triton = TritonChannel(settings.triton)
        self._services = _services(settings, self._triton)
        # Set when the operator requests a drain over the Unix socket.
        self.drain_asked = asyncio.Event()
        tls = http_context(settings.policy.tls) if settings.policy.tls else None
        limit = ConnectionLimit(settings.max_connections, settings.header_timeout_s)
        page = MetricsPage(self._services.ledger, settings.triton)

        def listener(app: ASGIApp, address: Address) -> HttpListener:
            return HttpListener(
                app,
                bind(address, settings.write_timeout_s),
                functools.partial(Connection, limit=limit),
                tls=tls,
                idle_timeout_s=settings.idle_timeout_s,
                handshake_timeout_s=settings.header_timeout_s,
            )

        self.http = listener(main_application(self._services, page.routes()), settings.http)
        self.triton_http: HttpListener | None = None
        if settings.triton_http is not None:
            application = triton_application(self._services, settings.triton_http.host)
            self.triton_http = listener(application, settings.triton_http)
        self.grpc = _grpc_listener(self._services)
        self.metrics = HttpListener(
            page.application(settings.metrics.host),
            bind(settings.metrics.check_loopback(), settings.write_timeout_s),
            functools.partial(Connection, limit=ConnectionLimit(_METRICS_CONNECTIONS, settings.header_timeout_s)),
            idle_timeout_s=settings.idle_timeout_s,
        )
        self._admin: HttpListener | None = None
        if settings.socket is not None:
            admin = AdminApi(self._services, self.drain_asked.set)
            self._admin = HttpListener(admin.application(), unix_socket.listen(settings.socket), AdminConnection)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve inside the block; the end of the block drains."""
        watchers = [
            asyncio.create_task(self._services.readiness.watch(self._tell_health)),
            asyncio.create_task(self._services.in_flight.watch_stalls()),
            asyncio.create_task(self._services.loaded.watch()),
        ]
        try:
            if self._admin is not None:
                await self._admin.start()
            for listener in self._http_listeners:
                await listener.start()
            await self.grpc.start()
            await self.metrics.start()
            addresses = {"http": self.http.address, "grpc": self.grpc.address, "metrics": self.metrics.address}
            if self.triton_http is not None:
                addresses["triton_http"] = self.triton_http.address
            log.info("listening", extra={"fields": {name: str(address) for name, address in addresses.items()}})
            yield
        finally:
            await self._drain()
            for watcher in watchers:
                watcher.cancel()
            await self._triton.close()
            self._services.models.close()

    @property
    def _http_listeners(self) -> list[HttpListener]:
        return [self.http, *([self.triton_http] if self.triton_http is not None else [])]

    async def _tell_health(self) -> None:
        waiting = self._services.readiness.waiting_for
        log.info("readiness", extra={"fields": {"ready": not waiting, "waiting_for": waiting}})
        await self.grpc.set_serving(serving=not waiting)

    async def _drain(self) -> None:
        """1. Accept no more requests. 2. Let running requests finish. 3. Send the rest an error. 4. Close the rest."""
        limit_s = self._services.settings.drain_s
        log.info("draining", extra={"fields": {"requests": len(self._services.in_flight), "limit_s": limit_s}})
        for listener in self._http_listeners:
            listener.stop_accepting()
        grpc_closed = asyncio.create_task(self.grpc.close(limit_s + _LAST_WORDS_S))
        await self._services.in_flight.drain(limit_s)
        await asyncio.gather(*(listener.close(_LAST_WORDS_S) for listener in self._http_listeners))
        # Calls that are still open, such as watchers of the health service, would never end by themselves.
        await self.grpc.close(_LAST_WORDS_S)
        await grpc_closed
        # The metrics close last, so that monitoring sees the end of the drain.
        await self.metrics.close(_LAST_WORDS_S)
        if self._admin is not None and self._services.settings.socket is not None:
            await self._admin.close(_LAST_WORDS_S)
            self._services.settings.socket.unlink(missing_ok=True)
        log.info("drained")


def _services(settings: Settings, triton: TritonChannel) -> Services:
    """Load the models and create what all APIs share; raises as `Gateway` does."""
    aliases = {alias: table.name for table in settings.tables for alias in table.aliases}
    every = [load_model(offered.artefact) for offered in settings.models]
    names = [model.name for model in every]
    loaded = _loaded_models(settings, names, triton)
    routes = _routes(settings, every, loaded)
    models = ServedModels(every, aliases, routes)
    questions = Questions(triton)
    waits = WaitEstimator({name: offered.slots for name, offered in zip(names, settings.models, strict=True)})
    in_flight = InFlight(settings.max_requests, settings.write_timeout_s)
    readiness = Readiness(questions, names, loaded)
    return Services(
        settings=settings,
        models=models,
        questions=questions,
        answering=Answering(Inference(triton, loaded), in_flight, waits, routes, settings.schema_retries),
        loaded=loaded,
        routes=routes,
        in_flight=in_flight,
        readiness=readiness,
        waits=waits,
        ledger=Ledger(names, lambda: len(in_flight), readiness.is_ready),
        door=Door(settings.policy, settings.limits, is_exposed=settings.is_exposed),
        clients=ClientAddress(settings.proxies),
    )


def _routes(settings: Settings, models: Sequence[AnyModel], loaded: LoadedModels) -> ModelRoutes:
    origins = {model.name: Origin(model.name, model.manifest.maker, model.manifest.license) for model in models}

    def read() -> Decisions:
        layout = settings.layout
        if layout is None:
            return Decisions(Routes(), SitePolicy())
        return Decisions(Routes.load(layout.routes), SitePolicy.load(layout.policy))

    return ModelRoutes(origins, loaded, read, time.monotonic)


def _loaded_models(settings: Settings, names: Sequence[str], triton: TritonChannel) -> LoadedModels:
    tables = {table.name: table for table in settings.tables}
    offers = []
    for name, offered in zip(names, settings.models, strict=True):
        table = tables.get(name, ModelConfig(name))
        offers.append(Offer(name, offered.memory_bytes, table.on_demand, table.keep_alive_s))
    return LoadedModels(
        ModelControl(triton),
        offers,
        total_bytes=total_bytes() - SYSTEM_BYTES,
        available_bytes=available_bytes,
        timeout_s=settings.load_timeout_s,
        clock=time.monotonic,
    )


def _grpc_listener(services: Services) -> GrpcListener:
    """Our gRPC API and KServe's, behind access control; raises as `Gateway` does."""
    settings = services.settings
    reading = Reading(
        settings.limits.box,
        settings.limits.principal,
        max_message_bytes=settings.max_body_bytes,
        timeout_s=settings.body_timeout_s,
    )
    door = GrpcDoor(services.door, services.record, reading, services.clients, open_health=settings.open_health)
    return GrpcListener(InferenceService(services), KServeService(services), settings.grpc, settings, [door])
