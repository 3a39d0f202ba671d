"""What each key of [limits] and [principal_limits] changes for a client."""

from __future__ import annotations

import contextlib

import grpc

from tests.configuration.clients import (
    MIB,
    Opener,
    answer_of,
    complete,
    connect,
    half_sent,
    held_bytes,
    is_quiet,
    refusal,
    refused,
    stream_statuses,
    streaming,
)
from tests.configuration.rows import row
from tests.gateway.fake_triton import endless
from tests.gateway.harness import Harness
from tests.gateway.keys import Keys
from tests.waiting import wait_until


@row("limits.max_requests")
def test_one_request_more_is_refused(open_box: Opener):
    box = open_box("[limits]\nmax_requests = 1")
    with streaming(box):
        status, message = refused(box)
    assert status == 429
    assert "1 requests" in message


@row("limits.requests_per_minute")
def test_one_request_a_minute(open_box: Opener):
    box = open_box("[limits]\nrequests_per_minute = 1")
    assert complete(box).status_code == 200
    status, message = refusal(complete(box))
    assert status == 429
    assert "the box's limit of 1" in message


@row("limits.tokens_per_minute")
def test_tokens_of_all_are_counted(open_box: Opener):
    box = open_box("[limits]\ntokens_per_minute = 5")
    assert complete(box).status_code == 200
    status, message = refusal(complete(box))
    assert status == 429
    assert "the box's limit of 5 tokens" in message


@row("limits.max_prompt_tokens")
def test_a_longer_prompt_is_refused(open_box: Opener):
    status, message = refusal(complete(open_box("[limits]\nmax_prompt_tokens = 3")))
    assert status == 400
    assert "max_prompt_tokens" in message


@row("limits.max_body_bytes")
def test_a_larger_body_is_refused(open_box: Opener):
    padding = {"user": "x" * 2000}
    assert complete(open_box(""), **padding).status_code == 200
    assert complete(open_box("[limits]\nmax_body_bytes = 1024"), **padding).status_code == 413


@row("limits.max_held_bytes")
def test_bodies_of_all_share_their_room(open_box: Opener, keys: Keys):
    box = open_box(
        f"[limits]\nmax_held_bytes = {MIB}\nbody_timeout_s = 600\n[principal_limits]\nmax_held_bytes = {MIB}"
    )
    first, second = keys.make(), keys.make()
    with connect(box, half_sent(3 * MIB // 4, first) + b" " * (MIB // 2)):
        wait_until(lambda: held_bytes(box) >= MIB // 2)
        with connect(box, half_sent(3 * MIB // 4, second)) as late:
            status, said = answer_of(late)
    assert status == 429
    assert "the box's limit" in said


@row("limits.max_streams")
def test_streams_of_all_are_counted(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[limits]\nmax_streams = 1")
    assert stream_statuses(box, first, second) is grpc.StatusCode.RESOURCE_EXHAUSTED


def cut_first(short: Harness, long: Harness, content: bytes) -> bytes:
    """What the first says to a client that dawdles, while the second says nothing to one that dawdles as long."""
    with connect(long, content) as patient, connect(short, content) as hurried:
        said = hurried.recv(65536)
        assert is_quiet(patient)
    return said


@row("limits.header_timeout_s")
def test_a_head_that_does_not_come_is_waited_for_as_long_as_is_said(open_box: Opener):
    short, long = (open_box(f"[limits]\nheader_timeout_s = {seconds}") for seconds in (0.1, 600))
    assert cut_first(short, long, b"GET /health/live HTTP/1.1\r\n") == b""


@row("limits.body_timeout_s")
def test_a_body_that_does_not_come_is_waited_for_as_long_as_is_said(open_box: Opener):
    short, long = (open_box(f"[limits]\nbody_timeout_s = {seconds}") for seconds in (0.1, 600))
    assert cut_first(short, long, half_sent(50) + b"{").startswith(b"HTTP/1.1 408")


@row("limits.idle_timeout_s")
def test_a_connection_stays_open_between_requests_as_long_as_is_said(open_box: Opener):
    asked = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    short, long = (open_box(f"[limits]\nidle_timeout_s = {seconds}") for seconds in (0.1, 600))
    with connect(long, asked) as patient, connect(short, asked) as hurried:
        for connection in (patient, hurried):
            assert answer_of(connection)[0] == 200
        assert hurried.recv(1) == b""
        assert is_quiet(patient)


@row("limits.write_timeout_s")
def test_an_answer_may_be_left_unread_as_long_as_is_said(open_box: Opener):
    body = b'{"model": "tiny-instruct", "prompt": "a", "stream": true}'
    head = half_sent(len(body)).replace(b"/v1/tokenize", b"/v1/completions")
    short, long = (open_box(f"[limits]\nwrite_timeout_s = {seconds}") for seconds in (0.1, 600))
    for box in (short, long):
        box.triton.script = endless(text="word " * 20_000, pause_s=0.001)
    with connect(long, head + body, receive_buffer=4096), connect(short, head + body, receive_buffer=4096):
        wait_until(lambda: short.triton.asked and long.triton.asked)
        wait_until(lambda: short.triton.running == 0)
        assert long.triton.running == 1


@row("limits.max_connections")
def test_one_connection_too_many_closes_the_one_idle_longest(open_box: Opener):
    box = open_box("[limits]\nmax_connections = 8")
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(box)) for _ in range(9)]
        assert connections[0].recv(1) == b""
        assert all(is_quiet(connection) for connection in connections[1:])


# [principal_limits]


@row("principal_limits.max_requests")
def test_one_request_more_of_a_principal_is_refused(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[principal_limits]\nmax_requests = 1")
    with streaming(box, first):
        status, message = refused(box, first)
        with streaming(box, second):
            pass
    assert status == 429
    assert "max_requests" in message


@row("principal_limits.requests_per_minute")
def test_one_request_a_minute_of_each_principal(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[principal_limits]\nrequests_per_minute = 1")
    assert [complete(box, key).status_code for key in (first, second, first)] == [200, 200, 429]


@row("principal_limits.tokens_per_minute")
def test_tokens_of_each_principal_are_counted(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[principal_limits]\ntokens_per_minute = 5")
    assert [complete(box, key).status_code for key in (first, second)] == [200, 200]
    status, message = refusal(complete(box, first))
    assert status == 429
    assert "tokens_per_minute" in message


@row("principal_limits.max_held_bytes")
def test_a_principal_s_bodies_have_room_of_their_own(open_box: Opener, keys: Keys):
    box = open_box(f"[limits]\nbody_timeout_s = 600\n[principal_limits]\nmax_held_bytes = {MIB}")
    first, second = keys.make(), keys.make()
    with connect(box, half_sent(3 * MIB // 4, first) + b" " * (MIB // 2)):
        wait_until(lambda: held_bytes(box) >= MIB // 2)
        with connect(box, half_sent(3 * MIB // 4, first)) as late:
            status, said = answer_of(late)
        assert complete(box, second).status_code == 200
    assert status == 429
    assert "max_held_bytes" in said


@row("principal_limits.max_streams")
def test_a_principal_s_streams_are_counted(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[principal_limits]\nmax_streams = 1")
    assert stream_statuses(box, first, first) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stream_statuses(box, first, second) is grpc.StatusCode.OK
