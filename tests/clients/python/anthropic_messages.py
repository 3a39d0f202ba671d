"""Anthropic's Python client."""

from __future__ import annotations

import anthropic
import pydantic
from anthropic import beta_tool

from tests.clients.python.box import ASK_WEATHER, TOO_LONG, WEATHER, WEATHER_SCHEMA, Box
from tests.clients.python.expect import raises

HELLO = [{"role": "user", "content": "What is an inode? Answer in one sentence."}]
TOOLS = [{"name": "get_weather", "input_schema": WEATHER_SCHEMA}]
GREEDY = {"temperature": 0}


class City(pydantic.BaseModel):
    name: str
    country: str


def client(box: Box, key: str | None = None) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=box.http, api_key=key or box.key, max_retries=0)


def models(box: Box) -> None:
    (model,) = client(box).models.list()
    assert (model.id, model.type) == (box.model, "model")
    assert model.display_name
    assert model.created_at.tzinfo
    assert client(box).models.retrieve(box.model) == model


def chat(box: Box) -> None:
    answer = client(box).messages.create(model=box.model, messages=HELLO, max_tokens=16, extra_body=GREEDY)
    assert answer.content[0].type == "text"
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 16)
    assert answer._request_id


def stream(box: Box) -> None:
    asked = {"model": box.model, "messages": HELLO, "max_tokens": 16, "extra_body": GREEDY}
    with client(box).messages.stream(**asked) as events:
        kinds = [event.type for event in events]
        answer = events.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[1] == "content_block_start"
    assert kinds.count("text") > 1
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert answer.usage.output_tokens == 16
    assert answer.content[0].text == client(box).messages.create(**asked).content[0].text


def turns(box: Box) -> None:
    messages = [{"role": "user", "content": "My name is Ada. Remember it."}]
    asked = {"model": box.model, "max_tokens": 40, "system": "You are brief.", "extra_body": GREEDY}
    first = client(box).messages.create(messages=messages, **asked)
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "What is my name? Answer with one word."},
    ]
    second = client(box).messages.create(messages=messages, **asked)
    assert "Ada" in second.content[0].text
    assert second.usage.cache_read_input_tokens > 0


def tools(box: Box) -> None:
    asked_for = []

    @beta_tool
    def get_weather(city: str) -> str:
        """Get the weather in a city.

        Args:
            city: name of the city
        """
        asked_for.append(city)
        return WEATHER

    runner = client(box).beta.messages.tool_runner(
        model=box.model,
        messages=[{"role": "user", "content": ASK_WEATHER}],
        tools=[get_weather],
        max_tokens=64,
        extra_body=GREEDY,
    )
    last = runner.until_done()
    assert "Paris" in asked_for[0]
    assert "21" in last.content[0].text


def forced(box: Box) -> None:
    messages = [{"role": "user", "content": ASK_WEATHER}]
    asked = {"model": box.model, "messages": messages, "tools": TOOLS, "max_tokens": 1000, "extra_body": GREEDY}
    for choice in [{"type": "any"}, {"type": "tool", "name": "get_weather"}]:
        with client(box).messages.stream(**asked, tool_choice=choice) as events:
            answer = events.get_final_message()
        assert answer.stop_reason == "tool_use"
        assert answer.content[0].type == "tool_use"
        assert answer.content[0].input.keys() == {"city"}


def schema(box: Box) -> None:
    answer = client(box).messages.parse(
        model=box.model,
        messages=[{"role": "user", "content": "Where is the Eiffel tower?"}],
        output_format=City,
        max_tokens=64,
        extra_body=GREEDY,
    )
    assert isinstance(answer.parsed_output, City)


def cancel(box: Box) -> None:
    with (
        box.cancels_one(),
        client(box).messages.stream(
            model=box.model, messages=HELLO, max_tokens=4000, extra_body={"ignore_eos": True}
        ) as events,
    ):
        next(iter(events.text_stream))


def errors(box: Box) -> None:
    asked = {"model": box.model, "messages": HELLO, "max_tokens": 1}
    with raises(anthropic.AuthenticationError, status_code=401, type="authentication_error"):
        client(box, "wrong").messages.create(**asked)
    with raises(anthropic.NotFoundError, status_code=404, type="not_found_error"):
        client(box).messages.create(**{**asked, "model": "claude"})
    with raises(anthropic.BadRequestError, status_code=400, type="invalid_request_error"):
        client(box).messages.create(**{**asked, "messages": [{"role": "user", "content": TOO_LONG}]})


def tokens(box: Box) -> None:
    counted = client(box).messages.count_tokens(model=box.model, messages=HELLO)
    used = client(box).messages.create(model=box.model, messages=HELLO, max_tokens=1).usage
    assert counted.input_tokens == used.input_tokens + used.cache_read_input_tokens


def documents(box: Box) -> None:
    note = "The code word is zebra."
    question = {"type": "text", "text": "What is the code word? Answer with one word."}
    sources = [
        {"type": "document", "title": "Note", "source": {"type": "text", "media_type": "text/plain", "data": note}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": note}]}},
        {"type": "search_result", "title": "N", "source": "n.txt", "content": [{"type": "text", "text": note}]},
    ]
    for source in sources:
        turn = {"role": "user", "content": [source, question]}
        answer = client(box).messages.create(model=box.model, messages=[turn], max_tokens=16, extra_body=GREEDY)
        assert "zebra" in answer.content[0].text.lower()
