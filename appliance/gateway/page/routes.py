"""Serves the page's files, each with headers that keep the browser from letting anything else in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FILES = Path(__file__).parent / "files"
_INDEX = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# Nothing but the page's own files and its own API; no inline script or style, no frame around it, no form that leaves
# it; and no string becomes markup, not even by a bug of ours (`require-trusted-types-for`).
_RULES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
_HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _RULES.items()),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    # Asked again each time: a box that was updated shows the page that belongs to its API.
    "cache-control": "no-cache",
}


def page_routes() -> list[Route]:
    """Routes of the page, `/` and its parts under `/page/`. None of them needs a key: the files hold no secret."""
    names = sorted(path.name for path in _FILES.iterdir())
    return [Route("/" if name == _INDEX else f"/page/{name}", _endpoint(name), methods=["GET"]) for name in names]


def _endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
    path = _FILES / name
    content, kind = path.read_bytes(), _TYPES[path.suffix]

    async def serve(_request: Request) -> Response:
        return Response(content, headers=_HEADERS, media_type=kind)

    return serve
