"""Heads of HTTP/1.1 over bare connections, to each listener."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter

from tests.gateway.test_framing import AMBIGUOUS
from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox
from tests.redteam.client import Client
from tests.redteam.mutation import mutant

_PATHS = (
    "/",
    "/v1/models",
    "/v1/models/%2e%2e%2f",
    "/v2",
    "/metrics",
    "/v1/responses/x",
    "/page/../../etc/passwd",
    "*",
    "//",
)
_LINES = (
    *("Host: box", "Host: [::1]:1", "Connection: close", "Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    *(
        "Content-Length: 2",
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Range: bytes=0-",
    ),
    *(
        "Content-Type: application/json",
        "Cookie: a=b",
        "If-None-Match: *",
        "X-Forwarded-For: 127.0.0.1",
        "TE: trailers",
    ),
    *("x-request-id: a", "anthropic-version: x", "Accept: */*", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Via: ü"),
)
_BODIES = (b"", b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


def attack(seconds: float) -> Attack:
    """The attack, for so long."""
    return Attack("fuzz: heads of HTTP", "R23 R19", lambda box: _run(box, seconds))


def _valid(client: Client, chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return chance.choice(list(AMBIGUOUS.values()))
    method = chance.choice(("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get"))
    lines = [f"{method} {chance.choice(_PATHS)} HTTP/1.1", f"Authorization: Bearer {client.key}"]
    lines += chance.sample(_LINES, chance.randrange(1, 6))
    return "\r\n".join([*lines, "", ""]).encode() + chance.choice(_BODIES)


def _run(box: AttackedBox, seconds: float) -> str:
    chance, client = random.Random(box.seed), box.attacker
    ends = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    addresses = (box.state.http, box.state.http, box.state.metrics, box.triton_http)
    while time.monotonic() < ends:
        content = _valid(client, chance)
        if chance.random() < 0.7:
            _, content = mutant(content, chance)
        content = content[: 1 << 17]
        with client.connect(content, address=chance.choice(addresses)) as connection:
            try:
                if _is_whole(content):
                    # Who half-closes before the answer counts as gone, as in other servers.
                    connection.recv(1, socket.MSG_PEEK)
                # Half-closed: whatever is still missing will not come, so that the other side must end.
                connection.shutdown(socket.SHUT_WR)
                is_read = True
            except OSError:  # it was refused while it was sent, and the refusal may be lost
                is_read = False
            found = client.all_of(connection)
        _judge(found, content, is_read=is_read)
        seen[found[9:12].decode("latin-1") or "hung up"] += 1
    return f"{sum(seen.values())} heads: " + ", ".join(f"{what} {count}" for what, count in sorted(seen.items()))


def _is_whole(content: bytes) -> bool:
    """Whether it is a head that announces no body: an answer is owed at once."""
    announces_body = any(name in content.lower() for name in (b"content-length", b"transfer-encoding"))
    return b"\r\n\r\n" in content and not announces_body


def _judge(found: bytes, content: bytes, *, is_read: bool) -> None:
    if not found:
        # A head or a body that is not whole ends a connection without an answer.
        expect(not is_read or not _is_whole(content), f"{content[:300]!r} got no answer")
        return
    expect(found.startswith(b"HTTP/1.1 "), f"{content[:300]!r} got {found[:100]!r}")
    expect(found[9:10] in b"1234" or found[9:12] == b"501", f"{content[:300]!r} got {found[:200]!r}")
