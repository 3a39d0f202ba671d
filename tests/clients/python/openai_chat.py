"""OpenAI's Python client: chat completions."""

from __future__ import annotations

import json

import openai
import pydantic

from tests.clients.python.box import ASK_WEATHER, TOO_LONG, WEATHER, WEATHER_SCHEMA, Box
from tests.clients.python.expect import raises

HELLO = [{"role": "user", "content": "What is an inode? Answer in one sentence."}]
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER_SCHEMA}}]


class City(pydantic.BaseModel):
    name: str
    country: str


def client(box: Box, key: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(base_url=box.v1, api_key=key or box.key, max_retries=0)


def models(box: Box) -> None:
    assert [model.id for model in client(box).models.list()] == [box.model]
    assert client(box).models.retrieve(box.model).object == "model"


def chat(box: Box) -> None:
    answer = client(box).chat.completions.create(model=box.model, messages=HELLO, max_tokens=16, temperature=0)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 16


def stream(box: Box) -> None:
    asked = {"model": box.model, "messages": CAPITAL, "max_tokens": 40, "temperature": 0}
    with client(box).chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
        kinds = [event.type for event in events]
        answer = events.get_final_completion()
    assert kinds.count("content.delta") > 1
    assert kinds.count("content.done") == 1
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens > 1
    whole = client(box).chat.completions.create(**asked)
    assert answer.choices[0].message.content == whole.choices[0].message.content


def turns(box: Box) -> None:
    messages = [{"role": "user", "content": "My name is Ada. Remember it."}]
    first = client(box).chat.completions.create(model=box.model, messages=messages, max_tokens=40, temperature=0)
    messages += [first.choices[0].message, {"role": "user", "content": "What is my name? Answer with one word."}]
    second = client(box).chat.completions.create(model=box.model, messages=messages, max_tokens=16, temperature=0)
    assert "Ada" in second.choices[0].message.content
    assert second.usage.prompt_tokens_details.cached_tokens > 0


def tools(box: Box) -> None:
    messages = [{"role": "user", "content": ASK_WEATHER}]
    asked = {"model": box.model, "tools": TOOLS, "max_tokens": 64, "temperature": 0}
    first = client(box).chat.completions.create(messages=messages, **asked).choices[0]
    assert first.finish_reason == "tool_calls", first
    (call,) = first.message.tool_calls
    assert "Paris" in json.loads(call.function.arguments)["city"]
    result = {"role": "tool", "tool_call_id": call.id, "content": WEATHER}
    second = client(box).chat.completions.create(messages=[*messages, first.message, result], **asked).choices[0]
    assert "21" in second.message.content


def forced(box: Box) -> None:
    asked = {
        "model": box.model,
        "messages": [{"role": "user", "content": ASK_WEATHER}],
        "tools": TOOLS,
        "temperature": 0,
    }
    choices = ["required", {"type": "function", "function": {"name": "get_weather"}}]
    for choice in [*choices, {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": TOOLS}}]:
        with client(box).chat.completions.stream(**asked, tool_choice=choice) as events:
            answer = events.get_final_completion().choices[0]
        assert answer.finish_reason == "tool_calls"
        assert answer.message.tool_calls[0].function.name == "get_weather"
        assert json.loads(answer.message.tool_calls[0].function.arguments).keys() == {"city"}


def schema(box: Box) -> None:
    question = [{"role": "user", "content": "Where is the Eiffel tower?"}]
    answer = client(box).chat.completions.parse(
        model=box.model, messages=question, response_format=City, max_tokens=64, temperature=0
    )
    assert isinstance(answer.choices[0].message.parsed, City)
    answer = client(box).chat.completions.create(
        model=box.model, messages=question, response_format={"type": "json_object"}, max_tokens=200, temperature=0
    )
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


def cancel(box: Box) -> None:
    with box.cancels_one():
        answer = client(box).chat.completions.create(
            model=box.model, messages=HELLO, stream=True, extra_body={"ignore_eos": True}
        )
        next(iter(answer))
        answer.close()


def errors(box: Box) -> None:
    asked = {"model": box.model, "messages": HELLO, "max_tokens": 1}
    with raises(openai.AuthenticationError, status_code=401, code="invalid_api_key"):
        client(box, "wrong").chat.completions.create(**asked)
    with raises(openai.NotFoundError, status_code=404, code="model_not_found"):
        client(box).chat.completions.create(**{**asked, "model": "gpt-5"})
    with raises(openai.BadRequestError, status_code=400, code="context_length_exceeded"):
        client(box).chat.completions.create(**{**asked, "messages": [{"role": "user", "content": TOO_LONG}]})


def documents(box: Box) -> None:
    file = {"filename": "note.txt", "file_data": "data:text/plain;base64,VGhlIGNvZGUgd29yZCBpcyB6ZWJyYS4="}
    content = [{"type": "file", "file": file}, {"type": "text", "text": "What is the code word? Answer with one word."}]
    answer = client(box).chat.completions.create(
        model=box.model, messages=[{"role": "user", "content": content}], max_tokens=16, temperature=0
    )
    assert "zebra" in answer.choices[0].message.content.lower()
