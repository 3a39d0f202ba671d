"""Streams that wait for their first token, or for the next: the head and keep-alive comments come meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import anthropic
import grpc
import httpx
import openai
import pytest

from appliance.address import Address
from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.fake_triton import piece, refusal
from tests.gateway.slow_model import Slow, after_signs
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]
CHAT = ("/v1/chat/completions", {"model": MODEL, "messages": HELLO, "stream": True})
COMPLETION = ("/v1/completions", {"model": MODEL, "prompt": "a", "stream": True})
RESPONSE = ("/v1/responses", {"model": MODEL, "input": "a", "stream": True})
MESSAGE = ("/v1/messages", {"model": MODEL, "max_tokens": 9, "messages": HELLO, "stream": True})
GENERATE = (
    f"/v2/models/{MODEL}/generate_stream",
    {"input_ids": [1], "stream": True, "sampling_parameters": "{}", "request_options": "{}"},
)
EVERY = [CHAT, COMPLETION, RESPONSE, MESSAGE, GENERATE]
NAMES = ["chat", "completion", "response", "message", "generate"]
AT_ONCE = {"stream_head_after_s": 0.01, "stream_ping_s": 0.01}


@pytest.fixture
def box(make_harness):
    return make_harness(triton_http=Address("127.0.0.1", 0), **AT_ONCE)


@pytest.fixture
def clients(box) -> Iterator:
    """A client for the address that has this path."""
    with (
        httpx.Client(base_url=box.url, timeout=LIMIT_S) as main,
        httpx.Client(base_url=f"http://{box.gateway.triton_http.address}", timeout=LIMIT_S) as triton,
    ):
        yield lambda path: triton if path.startswith("/v2") else main


@pytest.mark.parametrize("asked", EVERY, ids=NAMES)
def test_the_head_and_signs_come_while_the_model_says_nothing(box, clients, asked):
    box.triton.script = slow = Slow("Hello")
    path, body = asked
    with clients(path).stream("POST", path, json=body, headers={"x-request-id": "mine"}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"] == "mine"
        lines = response.iter_lines()
        after_signs(lines, 3)
        slow.may_go_on = True
        rest = "\n".join(lines)
    assert "Hello" in rest


@pytest.mark.parametrize("asked", EVERY, ids=NAMES)
def test_signs_come_between_two_tokens_too(box, clients, asked):
    slow = Slow(" world")

    async def script(asked):
        yield piece("Hello", [1])
        async for one in slow(asked):
            yield one

    box.triton.script = script
    path, body = asked
    with clients(path).stream("POST", path, json=body) as response:
        lines = response.iter_lines()
        while "Hello" not in next(lines):
            pass
        after_signs(lines, 2)
        slow.may_go_on = True
        assert "world" in "\n".join(lines)


@pytest.mark.parametrize("asked", EVERY, ids=NAMES)
def test_an_error_before_the_head_has_its_own_status(make_harness, asked):
    box = make_harness(triton_http=Address("127.0.0.1", 0), stream_head_after_s=LIMIT_S)
    box.triton.script = refusal("PromptTooLongError[prompt]: too long")
    path, body = asked
    url = f"http://{box.gateway.triton_http.address}" if path.startswith("/v2") else box.url
    assert httpx.post(url + path, json=body, timeout=LIMIT_S).status_code == 400


@pytest.mark.parametrize("asked", EVERY, ids=NAMES)
def test_an_error_after_the_head_is_the_last_event(box, clients, asked):
    box.triton.script = slow = Slow(fault="EngineError: the session broke")
    path, body = asked
    with clients(path).stream("POST", path, json=body) as response:
        lines = response.iter_lines()
        after_signs(lines, 1)
        slow.may_go_on = True
        rest = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert "the session broke" in rest[-1]
    json.loads(rest[-1])


def test_the_remaining_rates_are_in_the_head(make_harness):
    limits = DoorLimits(principal=Limits("this principal", requests_per_minute=600))
    box = make_harness(limits=limits, **AT_ONCE)
    box.triton.script = slow = Slow("Hello")
    path, body = CHAT
    with httpx.stream("POST", box.url + path, json=body, timeout=LIMIT_S) as response:
        assert response.headers["x-ratelimit-limit-requests"] == "600"
        slow.may_go_on = True
        response.read()


def test_a_client_that_leaves_while_it_waits_frees_the_slot(box, clients):
    box.triton.script = Slow()
    for path, body in EVERY:
        with clients(path).stream("POST", path, json=body) as response:
            # httpx leaves when this generator is deleted.
            lines = response.iter_lines()
            after_signs(lines, 2)
            wait_until(lambda: box.triton.running == 1)
        wait_until(lambda: box.triton.running == 0)


def test_a_client_that_reads_no_signs_frees_the_slot(make_harness):
    # Signs without a pause fill the kernel's buffers.
    box = make_harness(write_timeout_s=0.5, stream_head_after_s=0.0, stream_ping_s=0.0)
    box.triton.script = Slow()
    path, body = CHAT
    with httpx.stream("POST", box.url + path, json=body, timeout=LIMIT_S):
        wait_until(lambda: box.triton.running == 0)


def test_openais_client_waits(box):
    box.triton.script = slow = Slow("Hello")
    with openai.OpenAI(base_url=f"{box.url}/v1", api_key="unused", max_retries=0) as client:
        chat = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        # The role comes with the head, before the model says anything.
        assert next(chat).choices[0].delta.role == "assistant"
        completion = client.completions.create(model=MODEL, prompt="a", stream=True)
        response = client.responses.create(model=MODEL, input="a", stream=True)
        assert next(response).type == "response.created"
        slow.may_go_on = True
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chat) == "Hello"
        assert "".join(chunk.choices[0].text for chunk in completion) == "Hello"
        assert [event.type for event in response][-1] == "response.completed"


def test_openais_client_raises_an_error_that_comes_after_the_head(box):
    box.triton.script = slow = Slow(fault="DeadlineError: its time ran out")
    with openai.OpenAI(base_url=f"{box.url}/v1", api_key="unused", max_retries=0) as client:
        chat = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        next(chat)
        slow.may_go_on = True
        with pytest.raises(openai.APIError) as caught:
            list(chat)
    assert caught.value.code == "deadline_exceeded"


def test_anthropics_client_waits(box):
    box.triton.script = slow = Slow("Hello")
    with anthropic.Anthropic(base_url=box.url, api_key="unused", max_retries=0) as client:
        with client.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream:
            assert next(iter(stream)).type == "message_start"
            slow.may_go_on = True
            assert stream.get_final_text() == "Hello"
        box.triton.script = slow = Slow(fault="DeadlineError: its time ran out")
        with client.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream:
            next(iter(stream))
            slow.may_go_on = True
            with pytest.raises(anthropic.APIStatusError, match="its time ran out"):
                stream.get_final_text()


def test_a_grpc_client_that_checks_its_connection_waits(harness):
    """By default, a server ends the connection at the third ping within five minutes."""
    harness.triton.script = slow = Slow("Hello")
    options = [("grpc.keepalive_time_ms", 1500), ("grpc.http2.max_pings_without_data", 0)]
    with grpc.insecure_channel(harness.grpc_address, options=options) as channel:
        call = InferenceServiceStub(channel).Complete(pb.CompleteRequest(model=MODEL, text="a"))
        time.sleep(8)
        slow.may_go_on = True
        assert "".join(chunk.text for chunk in call) == "Hello"
