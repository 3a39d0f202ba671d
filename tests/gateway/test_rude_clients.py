"""Clients without manners, many at once: others are answered meanwhile, and what is held for the rude is bounded."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from appliance.address import Address
from tests.gateway.fake_triton import piece, words
from tests.waiting import LIMIT_S, wait_until

POLITE, SLOW = "tiny-instruct", "tiny-base"
READERS, HALVES = 40, 200
PIECE_BYTES = 20_000
# Of one answer that nobody reads, what kernel, server and gRPC hold together: buffers and windows that do not grow.
# Measured: 0.4 MiB.
HELD_BYTES = 2 << 20
# Where the model ends an answer: a reader for whom anything grew would take all of it.
ANSWER_BYTES = 16 << 20
HEAD = "POST /v1/completions HTTP/1.1\r\nHost: box\r\nContent-Type: application/json\r\n"


@pytest.fixture
def box(make_harness) -> Iterator:
    """A gateway, and a way to open connections to it that are closed in the end."""
    harness = make_harness(write_timeout_s=300.0)
    address = Address.from_text(harness.url.removeprefix("http://"))
    with contextlib.ExitStack() as stack:

        def connect(content: bytes, *, receive_buffer: int = 0) -> socket.socket:
            connection = stack.enter_context(socket.socket())
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.connect((address.host, address.port))
            connection.sendall(content)
            return connection

        yield harness, connect


def test_slow_readers_half_requests_and_oversized_bodies_keep_nobody_waiting(box):
    harness, connect = box
    sent: Counter[str] = Counter()

    async def script(asked):
        if asked.model == POLITE:
            async for one in words(*(f"<{token}>" for token in asked.prompt_ids))(asked):
                yield one
            return
        while sent[asked.request_id] < ANSWER_BYTES:
            yield piece("x" * PIECE_BYTES, [1])
            sent[asked.request_id] += PIECE_BYTES

    harness.triton.script = script
    body = json.dumps({"model": SLOW, "prompt": "a", "stream": True}).encode()
    for _ in range(READERS):
        connect(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body, receive_buffer=4096)
    halves = [f"{HEAD}Content-Length: 9\r\n\r\n{{".encode(), HEAD.encode(), b"POST /v1/comp", b""]
    for number in range(HALVES):
        connect(halves[number % len(halves)])
    wait_until(lambda: len(sent) == READERS)
    with httpx.Client(base_url=harness.url, timeout=LIMIT_S) as client:
        for number in range(50):
            too_large = connect(f"{HEAD}Content-Length: {1 << 40}\r\n\r\n".encode())
            prompt = [number, 7, number]
            response = client.post("/v1/completions", json={"model": POLITE, "prompt": prompt})
            assert response.json()["choices"][0]["text"] == "".join(f"<{token}>" for token in prompt)
            assert client.get("/v1/models").status_code == 200
            too_large.settimeout(60)
            assert too_large.recv(64).startswith(b"HTTP/1.1 413")
    wait_until(_stands_still(sent))
    # The engine waits for its readers: nothing between piles up what they do not take.
    assert max(sent.values()) < HELD_BYTES


def _stands_still(sent: Counter[str]):
    """Whether nothing more was sent for a while of looking."""
    seen: list[int] = []

    def check() -> bool:
        seen.append(sum(sent.values()))
        return len(seen) > 50 and seen[-50] == seen[-1]

    return check


def test_clients_without_manners_leave_nothing_behind(box):
    harness, connect = box

    async def script(_asked):
        while True:
            yield piece("x" * PIECE_BYTES, [1])

    harness.triton.script = script
    body = json.dumps({"model": SLOW, "prompt": "a", "stream": True}).encode()
    readers = [connect(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body) for _ in range(READERS)]
    wait_until(lambda: harness.triton.running == READERS)
    for reader in readers:
        reader.close()
    wait_until(lambda: harness.triton.running == 0)
    assert len(harness.gateway._services.in_flight) == 0
