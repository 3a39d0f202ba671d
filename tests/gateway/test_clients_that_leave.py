"""Clients that hang up, stop reading, or come in crowds: their slots are freed and the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import httpx
import openai
import pytest

from appliance.address import Address
from tests.gateway.fake_triton import endless, words
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]


def raw_request(harness, *, stream, receive_buffer=0):
    """A connection that has sent a chat request."""
    address = Address.from_text(harness.url.removeprefix("http://"))
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect((address.host, address.port))
    body = json.dumps({"model": MODEL, "messages": HELLO, "stream": stream}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_frees_its_slot_and_only_its_own(harness, client, stream):
    harness.triton.script = endless()
    other = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    next(other)
    connection = raw_request(harness, stream=stream)
    wait_until(lambda: harness.triton.running == 2)
    cancelled = harness.triton.cancelled
    connection.close()
    wait_until(lambda: harness.triton.running == 1)
    assert harness.triton.cancelled == cancelled + 1
    assert [next(other).choices[0].delta.content for _ in range(5)] == ["word "] * 5
    other.close()
    wait_until(lambda: harness.triton.running == 0)


def test_a_client_that_stops_reading_is_cancelled_after_the_time_limit(make_harness):
    harness = make_harness(write_timeout_s=1.0)
    harness.triton.script = endless(text="word " * 20_000, pause_s=0.001)
    connection = raw_request(harness, stream=True, receive_buffer=4096)
    wait_until(lambda: harness.triton.running == 1)
    wait_until(lambda: harness.triton.running == 0)
    assert harness.triton.cancelled == 1
    # Others are answered meanwhile, and the server's side of the connection is gone soon.
    assert httpx.get(f"{harness.url}/v1/models", timeout=LIMIT_S).status_code == 200
    connection.settimeout(20)
    with contextlib.suppress(ConnectionError):
        while connection.recv(1 << 20):
            pass
    connection.close()


def test_a_client_that_sends_its_body_too_slowly_is_refused(make_harness):
    harness = make_harness(body_timeout_s=0.3)
    address = Address.from_text(harness.url.removeprefix("http://"))
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection:
        connection.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def test_more_requests_than_the_gateway_takes_are_refused_at_once(make_harness):
    harness = make_harness(max_requests=2)
    harness.triton.script = endless()
    running = [raw_request(harness, stream=True) for _ in range(2)]
    wait_until(lambda: harness.triton.running == 2)
    refused = httpx.post(
        f"{harness.url}/v1/chat/completions", json={"model": MODEL, "messages": HELLO}, timeout=LIMIT_S
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
    assert refused.headers["retry-after"]
    for connection in running:
        connection.close()
    wait_until(lambda: harness.triton.running == 0)


def test_two_hundred_requests_at_once_each_get_their_own_answer(harness):
    async def echo(asked):
        # The user's word, between the template's fixed beginning and end.
        async for one in words(*(f"<{number}>" for number in asked.prompt_ids[:40]), pause_s=0.001)(asked):
            yield one

    harness.triton.script = echo

    async def crowd():
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(limits=limits, timeout=LIMIT_S) as pool,
            openai.AsyncOpenAI(base_url=f"{harness.url}/v1", api_key="x", max_retries=0, http_client=pool) as client,
        ):

            async def one(number):
                prompt = [number % 256, number // 256, 7]
                answer = await client.completions.create(model=MODEL, prompt=prompt, stream=True)
                text = "".join([chunk.choices[0].text async for chunk in answer])
                return text == "".join(f"<{token}>" for token in prompt)

            return await asyncio.gather(*(one(number) for number in range(200)))

    assert asyncio.run(crowd()) == [True] * 200
