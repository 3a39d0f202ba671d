"""Requests whose end two readers could see at two places: they are refused, and their connection ends."""

from __future__ import annotations

import socket

import httpx
import pytest

from appliance.gateway.http.connections import MAX_HEAD_BYTES
from tests.waiting import LIMIT_S

START = b"POST /v1/completions HTTP/1.1\r\n"
HEAD = START + b"Host: x\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# What a reader that takes the other end for the true one would answer as a request of its own.
SMUGGLED = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"

AMBIGUOUS = {
    "length and chunks": HEAD + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and length": HEAD + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "two lengths in one": HEAD + b"Content-Length: 2, 3\r\n\r\n{} ",
    "a length with a sign": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "two codings": HEAD + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "two codings in one": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": HEAD + b"Transfer-Encoding: identity\r\n\r\n",
    "chunks in HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n0\r\n\r\n",
    "a bare LF": HEAD.replace(b"x\r\n", b"x\n") + b"Content-Length: 2\r\n\r\n{}",
    "a bare LF at the end": HEAD + b"Content-Length: 2\r\n\n{}",
    "bare LFs alone": (HEAD + b"Content-Length: 2\r\n\r\n{}").replace(b"\r", b""),
    "a bare CR": HEAD + b"X: a\rContent-Length: 9\r\nContent-Length: 2\r\n\r\n{}",
    "a folded header": HEAD + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "two hosts": HEAD + b"Host: y\r\nContent-Length: 2\r\n\r\n{}",
    "no host": START + b"Content-Length: 2\r\n\r\n{}",
    "a chunk's size with a sign": HEAD + CHUNKED + b"\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is longer than its size": HEAD + CHUNKED + b"\r\n2\r\n{}xx0\r\n\r\n",
    "too long a head": HEAD + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
}


def answers(box, content: bytes) -> bytes:
    """All that comes back until the box ends the connection."""
    address = box.gateway.http.address
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection:
        connection.sendall(content)
        found = b""
        try:
            while piece := connection.recv(65536):
                found += piece
        except ConnectionResetError:
            # There was more than it read.
            pass
        return found


@pytest.mark.parametrize("content", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_could_be_read_in_two_ways_is_a_400_and_the_end(harness, content):
    found = answers(harness, content + SMUGGLED)
    assert found.count(b"HTTP/1.1 ") == 1
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in found.lower()
    assert harness.triton.asked == []


def test_the_answer_says_what_is_wrong(harness):
    assert b"cannot be used together" in answers(harness, AMBIGUOUS["length and chunks"])


def test_a_second_request_of_a_connection_is_read_as_strictly_as_the_first(harness):
    found = answers(harness, SMUGGLED + AMBIGUOUS["length and chunks"] + SMUGGLED)
    assert found.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 400 " in found


def test_lengths_and_chunks_each_alone_are_read_on_one_connection(harness):
    with httpx.Client(base_url=harness.url, timeout=LIMIT_S) as client:
        body = b'{"model": "tiny-instruct", "prompt": "a"}'
        kind = {"content-type": "application/json"}
        assert client.post("/v1/completions", content=body, headers=kind).status_code == 200
        assert client.post("/v1/completions", content=iter([body[:5], body[5:]]), headers=kind).status_code == 200
        assert client.get("/health/live").status_code == 200


def test_the_metrics_listener_is_as_strict(harness):
    address = harness.gateway.metrics.address
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
