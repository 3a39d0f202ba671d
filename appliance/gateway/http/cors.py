"""Permits web pages of listed origins to use the HTTP APIs. Others get no permission (CORS, Fetch Standard)."""

from __future__ import annotations

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from appliance.gateway.http.ignored import HEADER as IGNORED
from appliance.gateway.http.unheld import BROKEN, RETRIES, UNHELD

_METHODS = ("GET", "HEAD", "POST", "DELETE")
# Headers of answers that scripts may read.
_EXPOSED = (
    "x-request-id",
    "request-id",
    "retry-after",
    *(f"x-ratelimit-{part}-{what}" for what in ("requests", "tokens") for part in ("limit", "remaining", "reset")),
    UNHELD.decode(),
    BROKEN.decode(),
    RETRIES.decode(),
    IGNORED.decode(),
)


def with_cors(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Wrap access control: a browser asks for permission without a key, and reads errors too."""
    if not origins:
        return app
    # Keys are sent in a header that the page sets itself, so the browser needs no permission to send credentials.
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=_METHODS,
        allow_headers=("*",),
        expose_headers=_EXPOSED,
        allow_private_network=True,
    )
