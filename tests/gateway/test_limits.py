"""Limits from the outside: the status, when to come again, which limit it was, and that others go on."""

from __future__ import annotations

import contextlib
import time

import grpc
import httpx
import openai
import pytest

from appliance.auth.policy import Policy
from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.fake_triton import endless, refusal, words
from tests.gateway.keys import Keys, bearer, metadata, status_of
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
REQUEST = {"model": MODEL, "prompt": "Once"}
PROMPT_TOKENS = len("Once")


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path / "keys" / "keys.json")


@pytest.fixture
def make_box(make_harness, keys):
    """Makes a gateway with keys, these limits of each principal, and a clock that stands still."""

    def make(box=None, max_prompt_tokens=None, **each):
        limits = DoorLimits(box or Limits("the box"), Limits("this principal", **each), max_prompt_tokens)
        return stopped(make_harness(policy=Policy(keys=keys.file.path), limits=limits))

    return make


def stopped(box):
    """The gateway with a clock that stands still: nothing of a minute's allowance comes back while a test runs."""
    door = box.gateway._services.door
    now = door.clock()
    door.clock = lambda: now
    return box


def complete(box, key, **parameters):
    return httpx.post(f"{box.url}/v1/completions", json={**REQUEST, **parameters}, headers=bearer(key), timeout=LIMIT_S)


def rpc(box, key):
    with grpc.insecure_channel(box.grpc_address) as channel:
        call = InferenceServiceStub(channel).Complete(
            pb.CompleteRequest(model=MODEL, text="Once"), metadata=metadata(key)
        )
        return status_of(call), dict(call.trailing_metadata())


def test_too_many_requests_a_minute_are_refused_with_their_limit(make_box, keys):
    box, key, other = make_box(requests_per_minute=2), keys.make(), keys.make()
    assert [complete(box, key).status_code for _ in range(2)] == [200, 200]
    response = complete(box, key)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "30"
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "this principal's limit of 2 requests per minute (requests_per_minute)" in error["message"]
    (status, details), trailers = rpc(box, key)
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "requests_per_minute" in details
    assert trailers["retry-after"] == "30"
    assert complete(box, other).status_code == 200
    assert len(box.triton.asked) == 3


def test_an_answer_tells_what_is_left(make_box, keys):
    box, key = make_box(requests_per_minute=10, tokens_per_minute=1000), keys.make()
    headers = complete(box, key).headers
    assert headers["x-ratelimit-limit-requests"] == "10"
    assert headers["x-ratelimit-remaining-requests"] == "9"
    assert headers["x-ratelimit-reset-requests"] == "6s"
    assert headers["x-ratelimit-limit-tokens"] == "1000"
    # The head is written when the answer is known, "Hello world" in two tokens.
    assert headers["x-ratelimit-remaining-tokens"] == str(1000 - PROMPT_TOKENS - 2)
    with openai.OpenAI(base_url=f"{box.url}/v1", api_key=key, max_retries=0) as client:
        raw = client.completions.with_raw_response.create(**REQUEST)
    assert raw.headers["x-ratelimit-remaining-requests"] == "8"


def test_a_box_without_rates_says_nothing_about_them(make_box, keys):
    headers = complete(make_box(), keys.make()).headers
    assert not [name for name in headers if name.startswith("x-ratelimit")]


def test_tokens_are_counted_as_they_come_and_debt_is_waited_for(make_box, keys):
    box, key = make_box(tokens_per_minute=20), keys.make()
    box.triton.script = words(*["a"] * 40)
    assert complete(box, key, stream=True).status_code == 200
    response = complete(box, key)
    assert response.status_code == 429
    assert "20 tokens per minute (tokens_per_minute)" in response.json()["error"]["message"]
    # 4 of the prompt and 40 of the answer: 24 in debt, and one more token to begin with.
    assert response.headers["retry-after"] == "75"
    assert len(box.triton.asked) == 1


def test_work_that_the_engine_refused_is_not_counted(make_box, keys):
    box, key = make_box(tokens_per_minute=PROMPT_TOKENS + 1), keys.make()
    box.triton.script = refusal("OverloadedError: the queue is full")
    assert complete(box, key).json()["error"]["code"] == "overloaded"
    box.triton.script = words("a")
    assert complete(box, key).status_code == 200
    assert complete(box, key).status_code == 429


def test_a_prompt_over_its_limit_is_a_400_that_names_it(make_box, keys):
    box, key = make_box(max_prompt_tokens=3), keys.make()
    response = complete(box, key)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == ("prompt", "context_length_exceeded")
    assert "4 tokens > 3 maximum of the box (max_prompt_tokens)" in error["message"]
    assert rpc(box, key)[0][0] is grpc.StatusCode.INVALID_ARGUMENT
    assert not box.triton.asked


@contextlib.contextmanager
def streaming(box, key, **parameters):
    """Hold an answer open."""
    headers = bearer(key)
    with (
        httpx.Client(base_url=box.url, timeout=LIMIT_S) as client,
        client.stream(
            "POST", "/v1/completions", json={**REQUEST, "stream": True, **parameters}, headers=headers
        ) as response,
    ):
        assert response.status_code == 200
        yield


def test_too_many_requests_at_once_are_refused_until_one_ends(make_box, keys):
    box, key, other = make_box(max_requests=1), keys.make(), keys.make()
    box.triton.script = endless()
    with streaming(box, key):
        response = complete(box, key)
        assert response.status_code == 429
        assert response.headers["retry-after"] == "1"
        assert "1 concurrent requests (max_requests)" in response.json()["error"]["message"]
        assert rpc(box, key)[0][0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        with streaming(box, other):
            pass
    box.triton.script = words("a")
    wait_until(lambda: complete(box, key).status_code == 200)


def test_limits_of_the_box_count_all_principals(make_box, keys):
    box = make_box(box=Limits("the box", requests_per_minute=2))
    first, second = keys.make(), keys.make()
    assert [complete(box, key).status_code for key in (first, second, first)] == [200, 200, 429]
    assert "the box's limit of 2" in complete(box, second).json()["error"]["message"]


def test_a_refusal_by_one_limit_is_not_counted_by_another(make_box, keys):
    box = make_box(box=Limits("the box", requests_per_minute=3), requests_per_minute=1)
    first, second = keys.make(), keys.make()
    assert [complete(box, first).status_code for _ in range(5)] == [200, 429, 429, 429, 429]
    assert complete(box, second).status_code == 200


def test_a_wrong_key_uses_nobodys_allowance(make_box, keys):
    box = make_box(box=Limits("the box", requests_per_minute=1))
    key = keys.make()
    assert [complete(box, "none").status_code for _ in range(5)] == [401] * 5
    assert complete(box, key).status_code == 200


def test_the_openai_client_waits_as_it_is_told(make_box, keys, monkeypatch):
    box, key = make_box(requests_per_minute=1), keys.make()
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with openai.OpenAI(base_url=f"{box.url}/v1", api_key=key, max_retries=1) as client:
        client.completions.create(**REQUEST)
        with pytest.raises(openai.RateLimitError):
            client.completions.create(**REQUEST)
    assert waits
    assert 50 <= waits[0] <= 61


@pytest.mark.parametrize("several", [{"n": 3}, {"prompt": ["a", "b", "c"]}, {"prompt": ["a", "b"], "n": 2}])
def test_several_answers_are_several_requests_at_once(make_box, keys, several):
    box, key = make_box(max_requests=4), keys.make()
    box.triton.script = endless()
    with streaming(box, key, n=2):
        response = complete(box, key, **several)
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        assert "4 concurrent requests" in response.json()["error"]["message"]
        assert len(box.triton.asked) == 2
    box.triton.script = words("a")
    wait_until(lambda: complete(box, key, n=4).status_code == 200)


@pytest.mark.parametrize("several", [{"n": 5}, {"prompt": ["a", "b", "c"], "n": 2}])
def test_several_answers_are_several_requests_of_the_box(make_harness, several):
    box = make_harness(max_requests=4)
    response = complete(box, "none", **several)
    assert (response.status_code, response.headers.get("retry-after")) == (400, None)
    assert "max_requests" in response.json()["error"]["message"]
    box.triton.script = endless()
    with streaming(box, "none", n=3):
        assert complete(box, "none", n=2).json()["error"]["code"] == "overloaded"
        assert len(box.gateway._services.in_flight) == 3
        with streaming(box, "none"):
            pass
    box.triton.script = words("a")
    wait_until(lambda: complete(box, "none", n=4).status_code == 200)


@pytest.mark.parametrize("several", [{"n": 3}, {"prompt": ["a", "b", "c"]}, {"prompt": ["a", "b"], "n": 2}])
def test_more_answers_than_concurrent_requests_are_no_matter_of_waiting(make_box, keys, several):
    box, key = make_box(max_requests=2), keys.make()
    response = complete(box, key, **several)
    assert (response.status_code, response.headers.get("retry-after")) == (400, None)
    assert "2 concurrent requests (max_requests)" in response.json()["error"]["message"]
    assert box.triton.asked == []
    assert complete(box, key, n=2).status_code == 200


@pytest.mark.parametrize("several", [{"n": 3}, {"prompt": ["a", "b", "c"]}])
def test_each_of_several_answers_counts_in_the_rate_of_requests(make_box, keys, several):
    box, key = make_box(requests_per_minute=5), keys.make()
    assert complete(box, key, **several).status_code == 200
    response = complete(box, key, **several)
    assert response.status_code == 429
    assert "5 requests per minute" in response.json()["error"]["message"]
    assert 1 <= int(response.headers["retry-after"]) <= 60


def test_more_answers_than_requests_in_a_minute_are_no_matter_of_waiting(make_box, keys):
    box, key = make_box(requests_per_minute=2), keys.make()
    response = complete(box, key, n=3)
    assert (response.status_code, response.headers.get("retry-after")) == (400, None)
    assert "2 requests per minute" in response.json()["error"]["message"]
    assert box.triton.asked == []


def test_a_request_that_never_reached_the_engine_costs_no_tokens(make_harness, keys):
    limits = DoorLimits(Limits("the box"), Limits("this principal", tokens_per_minute=3 * PROMPT_TOKENS), None)
    box = stopped(make_harness(policy=Policy(keys=keys.file.path), limits=limits))
    key = keys.make()
    box.kill_triton()
    for _ in range(4):
        assert complete(box, key).status_code == 503
