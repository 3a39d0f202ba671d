"""Maps the spellings of a path that clients use to the one that the gateway serves.

This is the outermost layer: access control, error formats and the log see only the mapped path.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

_VERSION = "/v1"


class Paths:
    """Wraps an ASGI application."""

    def __init__(self, app: ASGIApp, unversioned: Collection[str] = ()) -> None:
        """Wrap an application.

        Args:
            app: the application.
            unversioned: first segments of paths that are also served without "/v1": some clients omit it, because
                llama.cpp and vLLM serve both.
        """
        self._app = app
        self._unversioned = frozenset(unversioned)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the mapped path."""
        path: str = scope["path"]
        # Clients add a slash to a base URL, or a proxy adds one to a path.
        mapped = path.removesuffix("/") or "/"
        if mapped.removeprefix("/").partition("/")[0] in self._unversioned:
            mapped = _VERSION + mapped
        await self._app({**scope, "path": mapped}, receive, send)
