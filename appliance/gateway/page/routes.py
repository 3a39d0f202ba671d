"""Serves the page's files, with headers that make the browser load nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FILES = Path(__file__).parent / "files"
_INDEX = "index.html"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}

# The page may load only its own files and use only its own API: no inline scripts or styles, no frames around it, no
# forms to other addresses. No string can become markup, not even through our own bug (`require-trusted-types-for`),
# except through DOMPurify, which sanitises it.
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
    "trusted-types": "dompurify",
}
_HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _RULES.items()),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    # The browser must not look up the hosts of links that the model writes.
    "x-dns-prefetch-control": "off",
    # The browser revalidates each time, so an updated box shows the page that belongs to its API.
    "cache-control": "no-cache",
}


def page_routes(*, history: bool) -> list[Route]:
    """Routes of the page: `/` and its parts under `/page/`. They need no key, because the files contain no secret.

    Args:
        history: whether the page may keep conversations in the browser.
    """
    files = {path.relative_to(_FILES).as_posix(): path for path in sorted(_FILES.rglob("*")) if path.is_file()}
    settings = json.dumps({"history": history}).encode()
    return [
        *(_route("/" if name == _INDEX else f"/page/{name}", path.read_bytes(), path) for name, path in files.items()),
        _route("/page/settings.json", settings, Path("settings.json")),
    ]


def _route(address: str, content: bytes, path: Path) -> Route:
    return Route(address, _endpoint(content, _TYPES[path.suffix]), methods=["GET"])


def _endpoint(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**_HEADERS, "etag": tag}

    async def serve(request: Request) -> Response:
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=kind)

    return serve
