"""A complete answer that breaks its schema is asked for again, within the request's limits, on every HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest

from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from tests.gateway.fake_triton import Asked, Script, failure, piece, usage
from tests.gateway.harness import Harness
from tests.waiting import LIMIT_S, wait_until

SCHEMA = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
ASK = [{"role": "user", "content": "Numbers"}]
MODEL = "tiny-talker"
BAD, GOOD = "[1, 1]", "[1, 2]"
RETRIES, BROKEN = "appliance-schema-retries", "appliance-schema-broken"


def in_turn(*answers: str | None) -> Script:
    """A script that answers each request with the next text, and the last one again; None fails."""
    left = list(answers)

    async def script(asked: Asked) -> AsyncIterator[Any]:
        text = left.pop(0) if len(left) > 1 else left[0]
        if text is None:
            yield failure("the engine failed")
            return
        yield piece(text, range(6), finish="stop", usage=usage(asked, 6))

    return script


def chat(harness: Harness, **settings: Any) -> httpx.Response:
    body = {"model": MODEL, "messages": ASK, "response_format": FORMAT, "temperature": 1, **settings}
    return httpx.post(f"{harness.url}/v1/chat/completions", json=body, timeout=LIMIT_S)


def content(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


def test_the_second_answer_replaces_a_broken_one_and_the_usage_is_the_sum(harness):
    harness.triton.script = in_turn(BAD, GOOD)
    answer = chat(harness, seed=7)
    assert content(answer) == GOOD
    assert answer.headers[RETRIES] == "1"
    assert BROKEN not in answer.headers
    first, second = harness.triton.asked
    assert first.sampling["seed"] == 7
    assert second.sampling["seed"] != 7
    assert second.prompt_ids == first.prompt_ids
    assert second.request_id != first.request_id
    used = answer.json()["usage"]
    assert used["completion_tokens"] == 12
    assert used["prompt_tokens"] == 2 * len(first.prompt_ids)


def test_the_same_request_gives_the_same_seeds(harness):
    seeds = []
    for _ in range(2):
        harness.triton.script = in_turn(BAD, GOOD)
        chat(harness, seed=7)
        seeds.append([asked.sampling["seed"] for asked in harness.triton.asked[-2:]])
    assert seeds[0] == seeds[1]


def test_an_answer_that_is_still_broken_is_sent_and_named(harness):
    harness.triton.script = in_turn(BAD)
    answer = chat(harness)
    assert content(answer) == BAD
    assert (answer.headers[RETRIES], answer.headers[BROKEN]) == ("1", "response_format")
    assert len(harness.triton.asked) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0},
        {"top_k": 1},
        {"min_p": 1},
        {"stream": True},
        {"n": 2},
        {"response_format": {"type": "json_object"}},
    ],
    ids=["greedy", "likeliest only", "as likely only", "stream", "several answers", "no schema"],
)
def test_an_answer_that_cannot_differ_or_was_sent_already_is_not_asked_for_again(harness, settings):
    harness.triton.script = in_turn(BAD)
    answer = chat(harness, **settings)
    assert answer.status_code == 200
    assert RETRIES not in answer.headers
    assert len(harness.triton.asked) == settings.get("n", 1)


def test_a_good_answer_is_not_asked_for_again(harness):
    harness.triton.script = in_turn(GOOD)
    assert RETRIES not in chat(harness).headers
    assert len(harness.triton.asked) == 1


def test_the_complete_answer_is_sent_if_the_retry_fails(harness):
    harness.triton.script = in_turn(BAD, None)
    answer = chat(harness)
    assert content(answer) == BAD
    assert (answer.headers[RETRIES], answer.headers[BROKEN]) == ("1", "response_format")
    assert answer.json()["usage"]["completion_tokens"] == 6


def test_a_tool_call_is_asked_for_again(harness):
    tool = {"name": "f", "parameters": {"type": "object", "properties": {"a": SCHEMA}}}
    texts = [f'<tool_call>\n{{"name": "f", "arguments": {{"a": {each}}}}}\n</tool_call>' for each in (BAD, GOOD)]
    harness.triton.script = in_turn(*texts)
    answer = chat(
        harness,
        response_format=None,
        tools=[{"type": "function", "function": tool}],
        tool_choice="required",
    )
    (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"] == f'{{"a": {GOOD}}}'
    assert answer.headers[RETRIES] == "1"


def test_responses_and_messages_ask_again_too(harness):
    harness.triton.script = in_turn(BAD, GOOD)
    with openai.OpenAI(base_url=f"{harness.url}/v1", api_key="unused", max_retries=0) as client:
        text = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}
        raw = client.responses.with_raw_response.create(model=MODEL, input=ASK, text=text, temperature=1)
    assert raw.headers[RETRIES] == "1"
    assert raw.parse().output_text == GOOD
    # Anthropic's formats are strict, but its tools need not be.
    texts = [f'<tool_call>\n{{"name": "f", "arguments": {{"a": {each}}}}}\n</tool_call>' for each in (BAD, GOOD)]
    harness.triton.script = in_turn(*texts)
    tool = {"name": "f", "input_schema": {"type": "object", "properties": {"a": SCHEMA}}}
    with anthropic.Anthropic(base_url=harness.url, api_key="unused", max_retries=0) as claude:
        message = claude.messages.with_raw_response.create(
            model=MODEL,
            max_tokens=50,
            messages=ASK,
            tools=[tool],
            tool_choice={"type": "any"},
            extra_body={"temperature": 1},
        )
    assert message.headers[RETRIES] == "1"
    assert message.parse().content[-1].input == {"a": [1, 2]}


def test_a_client_that_leaves_ends_the_retry(harness):
    async def script(asked: Asked) -> AsyncIterator[Any]:
        if len(harness.triton.asked) == 1:
            yield piece(BAD, range(6), finish="stop", usage=usage(asked, 6))
            return
        while True:
            yield piece("", [1])
            await harness.triton.pause()

    harness.triton.script = script
    with httpx.Client() as client, pytest.raises(httpx.ReadTimeout):
        client.post(
            f"{harness.url}/v1/chat/completions",
            json={"model": MODEL, "messages": ASK, "response_format": FORMAT, "temperature": 1},
            timeout=httpx.Timeout(LIMIT_S, read=2.0),
        )
    wait_until(lambda: harness.triton.running == 0)
    assert len(harness.triton.asked) == 2


def test_a_retry_counts_against_the_tokens_of_the_principal(harness, make_harness: Callable[..., Harness]):
    chat(harness)
    tokens = len(harness.triton.asked[0].prompt_ids)
    for limit, asked in ((2 * tokens + 6, 2), (2 * tokens + 5, 1)):
        limits = DoorLimits(principal=Limits("this principal", tokens_per_minute=limit))
        box = make_harness(limits=limits)
        box.triton.script = in_turn(BAD)
        answer = chat(box)
        assert answer.headers[BROKEN] == "response_format"
        assert len(box.triton.asked) == asked


def test_a_retry_that_the_engine_refuses_costs_no_tokens(harness, make_harness: Callable[..., Harness]):
    chat(harness)
    tokens = len(harness.triton.asked[0].prompt_ids)
    # Two prompts and two answers; the retry's tokens are reserved between.
    box = make_harness(limits=DoorLimits(principal=Limits("this principal", tokens_per_minute=2 * (tokens + 6))))
    door = box.gateway._services.door
    now = door.clock()
    door.clock = lambda: now
    box.triton.script = in_turn(BAD, None, GOOD)
    assert content(chat(box)) == BAD
    assert chat(box).status_code == 200


def test_each_try_is_one_request_in_the_estimate_of_waits(make_harness: Callable[..., Harness]):
    box = make_harness()
    box.triton.script = in_turn(BAD, GOOD)
    assert chat(box).headers[RETRIES] == "1"
    estimate = box.gateway._services.waits.estimate(MODEL)
    assert (estimate.requests, estimate.finished) == (0, 2)
    assert estimate.service_s == pytest.approx(0.3)


def test_no_retry_begins_after_the_request_s_time(make_harness: Callable[..., Harness]):
    box = make_harness(timeout_s=0.2)

    async def script(asked: Asked) -> AsyncIterator[Any]:
        await asyncio.sleep(0.3)
        yield piece(BAD, range(6), finish="stop", usage=usage(asked, 6))

    box.triton.script = script
    answer = chat(box)
    assert content(answer) == BAD
    assert len(box.triton.asked) == 1
