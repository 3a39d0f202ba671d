"""The page that Prometheus scrapes: the gateway's metrics, then Triton's and the engine's as Triton returned them."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from appliance import http
from appliance.gateway.http.known_hosts import KnownHosts
from appliance.gateway.metrics.ledger import Ledger
from appliance.triton import sockets


class MetricsPage:
    """See the module."""

    def __init__(self, ledger: Ledger, triton: Path) -> None:
        """`ledger` has the gateway's own metrics; `triton` is the folder of Triton's sockets."""
        self._ledger = ledger
        self._triton = triton / sockets.METRICS

    def routes(self) -> list[BaseRoute]:
        """Its route, for an application that requires keys."""
        return [Route("/metrics", self.metrics, methods=["GET"])]

    def application(self, host: str) -> ASGIApp:
        """The ASGI application for a separate listener at `host`, which requires no key."""
        return KnownHosts(Starlette(routes=self.routes()), host, refuse=_refuse)

    async def metrics(self, _request: Request) -> Response:
        """`GET /metrics`, in Prometheus' text format 0.0.4."""
        answer = await http.get(self._triton, "/metrics")
        theirs = answer[1] if answer and answer[0] == http.OK else ""
        self._ledger.tell_triton(up=bool(theirs))
        ours = generate_latest(self._ledger.registry)
        return Response(ours + theirs.encode(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _refuse(_request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", HTTPStatus.MISDIRECTED_REQUEST)
