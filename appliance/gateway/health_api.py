"""The health checks: whether the gateway runs, and whether it would accept a request now; and the version."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from appliance import __version__
from appliance.gateway.services import Services


class HealthApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """The checks, and the version."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
            Route("/version", self.version, methods=["GET"]),
        ]

    async def health(self, _request: Request) -> Response:
        """`GET /health`, as llama.cpp and vLLM have it: 200 if a request would be accepted now."""
        self._services.check_ready()
        return JSONResponse({"status": "ok"})

    async def live(self, _request: Request) -> Response:
        """`GET /health/live`."""
        return JSONResponse({"status": "live"})

    async def ready(self, _request: Request) -> Response:
        """`GET /health/ready`."""
        self._services.check_ready()
        return JSONResponse({"status": "ready"})

    async def version(self, _request: Request) -> Response:
        """`GET /version`, as vLLM has it."""
        return JSONResponse({"version": __version__})
