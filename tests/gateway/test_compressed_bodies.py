"""Compressed request bodies: gzip is read within the limits of plain bodies, and every other coding is named."""

from __future__ import annotations

import gzip
import json
import zlib

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.address import Address
from appliance.errors import RequestError
from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from appliance.gateway.http.content_coding import decoder
from tests.gateway.fake_triton import endless
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]
PATHS = {
    "/v1/chat/completions": {"model": MODEL, "messages": HELLO},
    "/v1/responses": {"model": MODEL, "input": "a"},
    "/v1/messages": {"model": MODEL, "max_tokens": 9, "messages": HELLO},
    "/v1/tokenize": {"model": MODEL, "prompt": "a"},
    "/api/chat": {"model": MODEL, "messages": HELLO},
}
CHAT = "/v1/chat/completions"
PLAIN = json.dumps(PATHS[CHAT]).encode()
# 64 MiB in 64 kB.
BOMB = gzip.compress(b" " * (64 << 20))


def post(http, content, coding="gzip", path=CHAT, **headers):
    headers = {"content-type": "application/json", "content-encoding": coding, **headers}
    return http.post(path, content=content, headers=headers)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_a_gzip_body_is_read(http, harness, coding):
    assert post(http, gzip.compress(PLAIN), coding).json()["choices"][0]["message"]["content"] == "Hello world"
    (asked,) = harness.triton.asked
    http.post(CHAT, json=PATHS[CHAT])
    assert harness.triton.asked[1].prompt_ids == asked.prompt_ids


@pytest.mark.parametrize("path", PATHS)
def test_every_api_reads_it(http, path):
    assert post(http, gzip.compress(json.dumps(PATHS[path]).encode()), path=path).status_code == 200


def test_tritons_listener_reads_it(make_harness):
    box = make_harness(triton_http=Address("127.0.0.1", 0))
    body = {"input_ids": [1], "stream": False, "sampling_parameters": "{}", "request_options": "{}"}
    url = f"http://{box.gateway.triton_http.address}"
    with httpx.Client(base_url=url, timeout=LIMIT_S) as client:
        path = f"/v2/models/{MODEL}/generate"
        assert post(client, gzip.compress(json.dumps(body).encode()), path=path).status_code == 200
        assert post(client, b"", "br", path=path).status_code == 415


@pytest.mark.parametrize("coding", ["", "identity"])
def test_no_coding_is_a_plain_body(http, coding):
    assert post(http, PLAIN, coding).status_code == 200


@pytest.mark.parametrize("coding", ["deflate", "br", "zstd", "gzip, gzip", "gzip, identity", "compress", "nonsense"])
def test_another_coding_is_refused_with_the_one_that_works(http, harness, coding):
    response = post(http, zlib.compress(PLAIN), coding)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "gzip")
    assert response.json()["error"]["code"] == "unsupported_media_type"
    assert "gzip" in response.json()["error"]["message"]
    assert harness.triton.asked == []
    assert post(http, b"", coding, path="/v1/messages").headers["accept-encoding"] == "gzip"


def test_another_content_type_names_no_coding(http):
    response = http.post(CHAT, content=PLAIN, headers={"content-type": "text/plain"})
    assert response.status_code == 415
    assert "accept-encoding" not in response.headers


@pytest.mark.parametrize(
    "content",
    [
        b"",
        PLAIN,
        gzip.compress(PLAIN)[:-1],
        gzip.compress(PLAIN)[:9],
        gzip.compress(PLAIN) + b"x",
        gzip.compress(PLAIN) + gzip.compress(b""),
        gzip.compress(PLAIN)[:-8] + bytes(8),
        zlib.compress(PLAIN),
    ],
    ids=["empty", "plain", "cut", "head", "more", "two members", "checksum", "zlib"],
)
def test_what_is_not_one_whole_gzip_is_refused(http, harness, content):
    response = post(http, content)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "gzip" in response.json()["error"]["message"]
    assert harness.triton.asked == []


def test_a_bomb_is_refused_as_a_large_body_is(http, harness):
    response = post(http, BOMB)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    assert response.headers["connection"] == "close"
    assert harness.triton.asked == []


def test_a_bomb_is_decoded_no_further_than_the_limit():
    decoding = decoder("gzip").decode(BOMB)
    assert max(len(next(decoding)) for _ in range(10)) <= 1 << 16


def test_decoded_bytes_count_against_the_memory_for_bodies(make_harness):
    most = 100_000
    box = make_harness(limits=DoorLimits(principal=Limits("this principal", max_held_bytes=most)))
    box.triton.script = endless()
    body = {**PATHS[CHAT], "stream": True, "metadata": {"a": "x" * (most * 2 // 3)}}
    content = gzip.compress(json.dumps(body).encode())
    assert len(content) < most // 10
    with httpx.Client(base_url=box.url, timeout=LIMIT_S) as client:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        with client.stream("POST", CHAT, content=content, headers=headers) as first:
            assert first.status_code == 200
            assert post(client, content).status_code == 429
        wait_until(lambda: box.triton.running == 0)
        box.triton.script = type(box.triton)().script
        wait_until(lambda: post(client, content).status_code == 200)


def test_a_body_that_decodes_to_nothing_is_refused_at_the_limit(http):
    empty_blocks = gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * (1 << 20)
    assert post(http, empty_blocks).status_code == 413


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 3000), st.lists(st.integers(1, 400), max_size=20))
def test_any_content_is_decoded_from_any_pieces(unit, times, cuts):
    content = unit * times
    compressed = gzip.compress(content)
    decoding = decoder("gzip")
    found = b""
    for cut in [*cuts, len(compressed)]:
        piece, compressed = compressed[:cut], compressed[cut:]
        found += b"".join(decoding.decode(piece))
    decoding.end()
    assert found == content


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_decoded_or_refused(content):
    decoding = decoder("gzip")
    try:
        b"".join(decoding.decode(content))
        decoding.end()
    except RequestError:
        return
    assert gzip.decompress(content) is not None
