"""Rejects plain HTTP requests for public host names: with DNS rebinding, a web page could reach its visitor's box.

It checks no keys and no certificates; see docs/decisions/known-hosts.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from appliance.gateway.http.rim import on_failure
from appliance.gateway.refusals import UnknownHostError

# Nobody can register these: RFC 6761 (localhost), RFC 6762 (local), RFC 8375 (home.arpa), ICANN 2024 (internal).
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")


class KnownHosts:
    """Wraps an ASGI application."""

    def __init__(
        self,
        app: ASGIApp,
        *configured: str,
        refuse: Callable[[Request, Exception], ASGIApp] = on_failure,
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            configured: the host that the operator configured for the listener, and further names of the box.
            refuse: creates the answer to a rejected request; the default needs `HttpRim` around it.
        """
        self._app = app
        self._configured = {name.lower() for name in configured}
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer that its host is not this box."""
        # With TLS, the browser has compared the name with the certificate before it sent the request.
        if scope["scheme"] == "https":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        host = host_of(request.headers.get("host", ""))
        if is_private(host) or host in self._configured:
            await self._app(scope, receive, send)
            return
        hint = "use its IP address, localhost, or a name without a dot; or list the name in [serve] hosts"
        error = UnknownHostError("the name in the header Host is not a name of this box", hint=hint)
        await self._refuse(request, error)(scope, receive, send)


def host_of(header: str) -> str:
    """The host of a Host header, in lower case, without port, brackets and the trailing dot."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")


def is_private(host: str) -> bool:
    """Whether no attacker can make this name resolve to the box: an address, a name without a dot, a private name.

    An empty host counts as private: browsers, against which this check protects, always send a host.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)
    return True
