"""What the engine or Triton refuses or fails at, and how it looks to an OpenAI client."""

from __future__ import annotations

import httpx
import openai
import pytest

from tests.gateway.fake_triton import endless, failure, piece, refusal
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]


def ask(client, *, stream):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
    return list(answer) if stream else answer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("message", "status", "code", "param"),
    [
        ("OverloadedError: the queue is full (try again later)", 429, "overloaded", None),
        ("PromptTooLongError[prompt]: too long", 400, "context_length_exceeded", "messages"),
        ("RequestError[min_tokens]: min_tokens 5 is greater", 400, None, "min_tokens"),
        ("RequestError: something is wrong", 400, None, None),
        ("Failed to run: UnavailableError: the engine starts", 503, "unavailable", None),
        ("DeadlineError: its time ran out", 504, "deadline_exceeded", None),
        ("EngineError: the session broke", 500, "engine_error", None),
        ("OSError: something else", 500, "engine_error", None),
        ("Request for unknown model: 'tiny-instruct' is not found", 503, "unavailable", None),
    ],
)
def test_an_error_before_the_first_token_has_its_own_status(client, harness, message, status, code, param, stream):
    harness.triton.script = refusal(message)
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, stream=stream)
    assert caught.value.status_code == status
    assert (caught.value.code, caught.value.param) == (code, param)


def test_an_overloaded_engine_says_when_to_try_again(http, harness):
    harness.triton.script = refusal("OverloadedError: the queue is full")
    response = http.post("/v1/chat/completions", json={"model": MODEL, "messages": HELLO})
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    assert response.json()["error"]["message"] == "the queue is full"


def test_an_error_in_the_middle_of_a_stream_is_its_last_event(client, harness):
    async def script(_asked):
        yield piece("Hel", [1])
        yield failure("EngineError: the session broke")

    harness.triton.script = script
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert [next(stream).choices[0].delta.content for _ in range(2)] == ["", "Hel"]
    with pytest.raises(openai.APIError, match="the session broke"):
        next(stream)


def test_an_error_in_the_middle_of_a_whole_answer_is_its_status(client, harness):
    async def script(_asked):
        yield piece("Hel", [1])
        yield failure("DeadlineError: its time ran out")

    harness.triton.script = script
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, stream=False)
    assert caught.value.status_code == 504


def test_a_stream_that_ends_without_a_reason_is_an_error(client, harness):
    async def script(_asked):
        yield piece("Hel", [1])

    harness.triton.script = script
    with pytest.raises(openai.APIError) as caught:
        ask(client, stream=True)
    assert caught.value.code == "engine_error"


def test_an_answer_in_another_form_is_an_error(client, harness):
    async def script(_asked):
        message = piece("a", [1])
        message.infer_response.raw_output_contents[0] = b"\xff\x00\x00\x00a"
        yield message

    harness.triton.script = script
    with pytest.raises(openai.InternalServerError):
        ask(client, stream=True)


def test_losing_triton_ends_streams_with_an_error_and_the_next_request_is_served(make_harness):
    harness = make_harness()
    harness.triton.script = endless()
    with openai.OpenAI(base_url=f"{harness.url}/v1", api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        next(stream)
        harness.kill_triton()
        with pytest.raises(openai.APIError) as lost:
            list(stream)
        assert lost.value.code == "unavailable"
        with pytest.raises(openai.InternalServerError) as caught:
            ask(client, stream=True)
        assert caught.value.status_code == 503
        assert caught.value.response.headers["retry-after"]
        wait_until(lambda: httpx.get(f"{harness.url}/health/ready", timeout=LIMIT_S).status_code == 503)
        harness.restart_triton()
        harness.wait_until_ready()
        harness.triton.script = type(harness.triton)().script
        assert ask(client, stream=False).choices[0].message.content == "Hello world"


def test_the_box_is_live_but_not_ready_without_its_model(make_harness):
    harness = make_harness()
    harness.triton.ready = False
    wait_until(lambda: httpx.get(f"{harness.url}/health/ready", timeout=LIMIT_S).status_code == 503)
    error = httpx.get(f"{harness.url}/health/ready", timeout=LIMIT_S).json()["error"]
    assert MODEL in error["message"]
    assert httpx.get(f"{harness.url}/health/live", timeout=LIMIT_S).status_code == 200


def test_a_request_that_takes_longer_than_the_boxs_limit_is_ended_even_if_the_engine_hangs(make_harness, monkeypatch):
    monkeypatch.setattr("appliance.gateway.triton.inference._DEADLINE_GRACE_S", 0.1)
    harness = make_harness(timeout_s=0.2)
    harness.triton.script = endless(pause_s=0.05)
    answer = httpx.post(f"{harness.url}/v1/chat/completions", json={"model": MODEL, "messages": HELLO}, timeout=LIMIT_S)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert 0 < harness.triton.asked[0].options["timeout_s"] <= 0.2
