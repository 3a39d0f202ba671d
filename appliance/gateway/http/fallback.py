"""Runs an endpoint again with the next model of a route, if a model fails before the first byte of the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.gateway.http.rim import record_of
from appliance.gateway.routing import attempt

Endpoint = Callable[[Request], Awaitable[ASGIApp]]


def with_fallback(route: BaseRoute) -> BaseRoute:
    """The same route; if its requests ask for a route of models, its endpoint can run several times."""
    if not isinstance(route, Route) or not route.methods or "POST" not in route.methods:
        return route
    endpoint: Endpoint = route.endpoint

    async def answer(request: Request) -> Any:
        return _Routed(endpoint, request)

    return Route(route.path, answer, methods=sorted(route.methods))


class _Routed:
    """The answer to one request, as an ASGI application."""

    def __init__(self, endpoint: Endpoint, request: Request) -> None:
        self._endpoint = endpoint
        self._request = request
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            self._has_begun = True
            await send(message)

        async def run() -> None:
            try:
                answer = await self._endpoint(self._request)
                await answer(scope, receive, noted)
            finally:
                trying = attempt.current()
                if trying.route:
                    record_of(self._request).fields |= {"route": trying.route, "failed_models": len(trying.failed)}

        await attempt.with_fallback(run, lambda: self._has_begun)
