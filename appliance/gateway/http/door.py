"""Access control for HTTP: a rejected request runs no code of the application, and its body is not read."""

from __future__ import annotations

import math
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.errors import ApplianceError
from appliance.gateway.access.account import Account
from appliance.gateway.access.credentials import key_in
from appliance.gateway.access.door import Door
from appliance.gateway.access.endpoints import path_scopes
from appliance.gateway.http.rim import on_failure, record_of

# The key under which the connection stores the names of the client's certificate; see connections.py.
NAMES = "certificate_names"


class HttpDoor:
    """Wraps an ASGI application; `HttpRim` wraps this class."""

    def __init__(self, app: ASGIApp, door: Door, *, open_health: bool = False) -> None:
        self._app = app
        self._door = door
        self._open_health = open_health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit the request, or answer with the error."""
        scopes = path_scopes(scope["path"], open_health=self._open_health)
        if scopes is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
            principal = self._door.identify(key_in(headers), scope.get("state", {}).get(NAMES, ()))
            record_of(request).fields["principal"] = principal.name
            with self._door.admitting(principal, scopes) as quota:
                await self._app(scope, receive, _telling(quota.accounts[0], send, self._door.clock))
        except ApplianceError as error:
            # The application answers its own errors; this error comes from access control.
            await on_failure(request, error)(scope, receive, send)


def _telling(account: Account, send: Send, clock: Callable[[], float]) -> Send:
    """Add the remaining rates of the account to the headers of the answer."""
    if account.requests is None and account.tokens is None:
        return send

    async def send_with_rates(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *_rate_headers(account, clock())]
        await send(message)

    return send_with_rates


def _rate_headers(account: Account, now: float) -> list[tuple[bytes, bytes]]:
    """OpenAI's headers, platform.openai.com/docs/guides/rate-limits."""
    found = []
    for what, rate in (("requests", account.requests), ("tokens", account.tokens)):
        if rate is not None:
            found += [
                (f"x-ratelimit-limit-{what}", str(rate.per_minute)),
                (f"x-ratelimit-remaining-{what}", str(max(0, math.floor(rate.left(now))))),
                (f"x-ratelimit-reset-{what}", f"{math.ceil(rate.full_s(now))}s"),
            ]
    return [(name.encode(), value.encode()) for name, value in found]
