"""The health checks: whether the gateway runs, and whether it would accept a request now."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from appliance.gateway.services import Services


class HealthApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """Both checks."""
        return [
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
        ]

    async def live(self, _request: Request) -> Response:
        """`GET /health/live`."""
        return JSONResponse({"status": "live"})

    async def ready(self, _request: Request) -> Response:
        """`GET /health/ready`."""
        self._services.check_ready()
        return JSONResponse({"status": "ready"})
