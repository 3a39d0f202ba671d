"""Serves the page's files, with headers that make the browser load nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FILES = Path(__file__).parent / "files"
_INDEX = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# The page may load only its own files and use only its own API: no inline scripts or styles, no frames around it, no
# forms to other addresses. No string can become markup, not even through our own bug (`require-trusted-types-for`).
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
    # The browser revalidates each time, so an updated box shows the page that belongs to its API.
    "cache-control": "no-cache",
}


def page_routes() -> list[Route]:
    """Routes of the page: `/` and its parts under `/page/`. They need no key, because the files contain no secret."""
    names = sorted(path.name for path in _FILES.iterdir())
    return [Route("/" if name == _INDEX else f"/page/{name}", _endpoint(name), methods=["GET"]) for name in names]


def _endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
    path = _FILES / name
    content, kind = path.read_bytes(), _TYPES[path.suffix]

    async def serve(_request: Request) -> Response:
        return Response(content, headers=_HEADERS, media_type=kind)

    return serve
