"""LiteLLM with OpenAI's API."""

from __future__ import annotations

import json

import litellm

from tests.clients.python.box import ASK_WEATHER, TOO_LONG, WEATHER, Box
from tests.clients.python.expect import raises
from tests.clients.python.openai_chat import CAPITAL, HELLO, TOOLS, City

PREFIX = "openai"


def ask(box: Box, messages: list, **parameters):
    asked = {"model": f"{PREFIX}/{box.model}", "api_key": box.key, "temperature": 0, "num_retries": 0, **parameters}
    return litellm.completion(messages=messages, api_base=box.v1, **asked)


def chat(box: Box) -> None:
    answer = ask(box, HELLO, max_tokens=16)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    # What its users set for every model; `drop_params` stays off.
    ask(box, HELLO, max_tokens=16, reasoning_effort="low", user="ada", metadata={"trace": "1"}, service_tier="auto")


def stream(box: Box) -> None:
    pieces = list(ask(box, CAPITAL, max_tokens=40, stream=True, stream_options={"include_usage": True}))
    assert "Paris" in "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices)
    assert pieces[-1].usage.completion_tokens > 1


def turns(box: Box) -> None:
    messages = [{"role": "user", "content": "My name is Ada. Remember it."}]
    first = ask(box, messages, max_tokens=40).choices[0].message
    messages += [first.model_dump(), {"role": "user", "content": "What is my name? Answer with one word."}]
    assert "Ada" in ask(box, messages, max_tokens=16).choices[0].message.content


def tools(box: Box) -> None:
    messages = [{"role": "user", "content": ASK_WEATHER}]
    first = ask(box, messages, tools=TOOLS, max_tokens=64).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": WEATHER}]
    assert "21" in ask(box, messages, tools=TOOLS, max_tokens=64).choices[0].message.content


def forced(box: Box) -> None:
    messages = [{"role": "user", "content": ASK_WEATHER}]
    answer = ask(box, messages, tools=TOOLS, tool_choice="required", max_tokens=200)
    assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments).keys() == {"city"}


def schema(box: Box) -> None:
    question = [{"role": "user", "content": "Where is the Eiffel tower?"}]
    answer = ask(box, question, response_format=City, max_tokens=64)
    assert City.model_validate_json(answer.choices[0].message.content)


def cancel(box: Box) -> None:
    with box.cancels_one():
        answer = ask(box, HELLO, stream=True, extra_body={"ignore_eos": True}, max_tokens=4000)
        next(answer)
        answer.completion_stream.close()


def errors(box: Box) -> None:
    with raises(litellm.AuthenticationError, status_code=401):
        ask(box, HELLO, api_key="wrong")
    with raises(litellm.NotFoundError, status_code=404):
        ask(box, HELLO, model=f"{PREFIX}/no-such-model")
    with raises(litellm.ContextWindowExceededError, status_code=400):
        ask(box, [{"role": "user", "content": TOO_LONG}])
