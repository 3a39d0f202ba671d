"""The tool runner of the real `anthropic` client: it asks for a thread first, and goes on without one."""

from __future__ import annotations

import asyncio
import json

import anthropic
import pytest

from tests.gateway.fake_triton import words

MODEL = "tiny-talker"
HELLO = [{"role": "user", "content": "Weather in Paris?"}]
CALL = ('<tool_call>\n{"name": "get_weather"', ', "arguments": {"city": "Paris"}}\n</tool_call>')


@anthropic.beta_tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@anthropic.beta_async_tool
async def get_weather_later(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


class Turns:
    """A script that calls the tool the first time, and answers the next time."""

    def __init__(self, name: str = "get_weather") -> None:
        self._name = name
        self._asked = 0

    def __call__(self, asked):
        self._asked += 1
        call = tuple(part.replace("get_weather", self._name) for part in CALL)
        return words(*(call if self._asked == 1 else ("Sunny.",)))(asked)


@pytest.mark.parametrize("stream", [False, True])
def test_the_runner_calls_the_tool_and_gets_the_answer(claude, harness, stream):
    harness.triton.script = Turns()
    runner = claude.beta.messages.tool_runner(
        model=MODEL, max_tokens=50, messages=HELLO, tools=[get_weather], stream=stream
    )
    message = runner.until_done()
    assert message.content[-1].text == "Sunny."
    assert len(harness.triton.asked) == 2


def test_the_asynchronous_runner_does_so_too(harness):
    harness.triton.script = Turns("get_weather_later")

    async def run():
        async with anthropic.AsyncAnthropic(base_url=harness.url, api_key="unused", max_retries=0) as claude:
            runner = claude.beta.messages.tool_runner(
                model=MODEL, max_tokens=50, messages=HELLO, tools=[get_weather_later]
            )
            return await runner.until_done()

    assert asyncio.run(run()).content[-1].text == "Sunny."


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
def test_a_thread_is_refused_by_the_code_that_clients_know(http, harness, thread):
    body = {"model": MODEL, "max_tokens": 5, "messages": HELLO, "thread": thread}
    response = http.post("/v1/messages?beta=true", json=body, headers={"anthropic-version": "2026-10-21"})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["details"]) == (
        "invalid_request_error",
        {"error_code": "thread_unsupported_request"},
    )
    assert harness.triton.asked == []


def test_other_refusals_have_no_details(http):
    response = http.post("/v1/messages", json={"model": MODEL, "max_tokens": 5, "messages": HELLO, "container": "c"})
    assert "details" not in json.loads(response.content)["error"]
