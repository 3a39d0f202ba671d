"""The gateway's Unix socket for this machine's operator: status and drain. The kernel reports the connecting user."""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from appliance import unix_socket
from appliance.errors import ApplianceError, UnavailableError
from appliance.gateway.access_log import log
from appliance.gateway.error_table import outcome
from appliance.gateway.loading.loaded_models import LoadedModels
from appliance.gateway.services import Services

_ROOT = 0


class AdminConnection(H11Protocol):
    """HTTP for our own user or root; connections of other users are closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        connection: socket.socket = transport.get_extra_info("socket")
        uid = unix_socket.peer_uid(connection)
        if uid not in {_ROOT, os.geteuid()}:
            log.warning("stranger at the admin socket", extra={"fields": {"uid": uid}})
            transport.abort()


class AdminApi:
    """The endpoints."""

    def __init__(self, services: Services, drain: Callable[[], None]) -> None:
        self._services = services
        self._drain = drain

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/health/live", self.live, methods=["GET"]),
                Route("/health/ready", self.ready, methods=["GET"]),
                Route("/status", self.status, methods=["GET"]),
                Route("/drain", self.drain, methods=["POST"]),
                Route("/routes", self.routes, methods=["GET"]),
                Route("/decisions", self.decisions, methods=["POST"]),
                Route("/models/{name}/load", self.load, methods=["POST"]),
                Route("/models/{name}/unload", self.unload, methods=["POST"]),
                Route("/models/{name}/ended", self.ended, methods=["POST"]),
            ],
            exception_handlers={ApplianceError: _refused},
        )

    async def live(self, _request: Request) -> Response:
        """`GET /health/live`: the gateway runs."""
        return JSONResponse({"status": "live"})

    async def ready(self, _request: Request) -> Response:
        """`GET /health/ready`: a request would be accepted now. The supervisor waits for this, so it asks Triton."""
        try:
            self._services.in_flight.check_open()
        except ApplianceError as error:
            return JSONResponse({"status": str(error)}, status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        await self._services.readiness.ask()
        waiting = self._services.readiness.waiting_for
        code = HTTPStatus.SERVICE_UNAVAILABLE if waiting else HTTPStatus.OK
        return JSONResponse({"waiting_for": waiting}, status_code=code)

    async def status(self, _request: Request) -> Response:
        """`GET /status`."""
        return JSONResponse(self._status())

    async def drain(self, _request: Request) -> Response:
        """`POST /drain`: like SIGTERM. The supervisor starts the gateway again."""
        log.info("drain was asked for")
        self._drain()
        return JSONResponse(self._status(), status_code=HTTPStatus.ACCEPTED)

    async def routes(self, _request: Request) -> Response:
        """`GET /routes`: each route with its models, and why a model is left out now."""
        routes = self._services.routes
        return JSONResponse(
            {
                name: {model: routes.reason(model) for model in routes.models(name)}
                for name in self._services.models.routes
            }
        )

    async def decisions(self, _request: Request) -> Response:
        """`POST /decisions`: the operator changed routes or policy; read them again."""
        self._services.routes.read_again()
        return JSONResponse({"routes": self._services.models.routes})

    async def load(self, request: Request) -> Response:
        """`POST /models/{name}/load`: load a model, and answer when it is loaded."""
        name = request.path_params["name"]
        await self._services.loaded.load(name)
        return JSONResponse({"model": name, "state": self._services.loaded.state(name).value})

    async def unload(self, request: Request) -> Response:
        """`POST /models/{name}/unload`: let a model's requests finish, and unload it."""
        name = request.path_params["name"]
        await self._services.loaded.unload(name)
        return JSONResponse({"model": name, "state": self._services.loaded.state(name).value})

    async def ended(self, request: Request) -> Response:
        """`POST /models/{name}/ended`: the process of a model has ended. Its requests end; it is loaded again."""
        name = request.path_params["name"]
        self._services.loaded.ended(name)
        reason = UnavailableError(f"the process of {name} ended", hint="the model is loaded again; try again later")
        self._services.in_flight.interrupt(name, reason)
        return JSONResponse({"model": name}, status_code=HTTPStatus.ACCEPTED)

    def _status(self) -> dict[str, Any]:
        services = self._services
        loaded = services.loaded
        return {
            "models": {model.name: _model(model.name, loaded) for model in services.models.all},
            "waiting_for": services.readiness.waiting_for,
            "draining": services.in_flight.is_draining,
            "requests": len(services.in_flight),
            "max_requests": services.settings.max_requests,
            "principals": {
                name: {"requests": account.active} for name, account in sorted(services.door.accounts.items())
            },
            "limits": {
                one.whose: {
                    "max_requests": one.max_requests,
                    "requests_per_minute": one.requests_per_minute,
                    "tokens_per_minute": one.tokens_per_minute,
                }
                for one in (services.door.limits.box, services.door.limits.principal)
            },
        }


def _model(name: str, loaded: LoadedModels) -> dict[str, Any]:
    error = loaded.error(name)
    keeps_s = loaded.keeps_s(name)
    return {
        "state": loaded.state(name).value,
        "error": str(error) if error is not None else None,
        "on_demand": loaded.is_on_demand(name),
        # Seconds for which it stays loaded without requests; None: as long as its memory is not needed.
        "keeps_s": None if math.isinf(keeps_s) else keeps_s,
    }


def _refused(_request: Request, error: Exception) -> Response:
    """The failure of an order, with the exit code that the command line uses for it."""
    if not isinstance(error, ApplianceError):
        raise error
    row = outcome(error)
    content = {"error": {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}}
    return JSONResponse(content, status_code=row.http)
