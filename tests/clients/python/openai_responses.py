"""OpenAI's Python client: responses."""

from __future__ import annotations

import json

import openai

from tests.clients.python.box import ASK_WEATHER, TOO_LONG, WEATHER, WEATHER_SCHEMA, Box
from tests.clients.python.expect import raises
from tests.clients.python.openai_chat import City, client

HELLO = "What is an inode? Answer in one sentence."
TOOLS = [{"type": "function", "name": "get_weather", "parameters": WEATHER_SCHEMA, "strict": False}]


def chat(box: Box) -> None:
    answer = client(box).responses.create(model=box.model, input=HELLO, max_output_tokens=16, temperature=0)
    assert answer.output_text
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert answer.usage.output_tokens == 16


def stream(box: Box) -> None:
    asked = {"model": box.model, "input": HELLO, "max_output_tokens": 16, "temperature": 0}
    with client(box).responses.stream(**asked) as events:
        kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds.count("response.output_text.delta") > 1
    assert kinds[-1] == "response.incomplete"


def turns(box: Box) -> None:
    asked = {"model": box.model, "max_output_tokens": 40, "temperature": 0}
    first = client(box).responses.create(input="My name is Ada. Remember it.", **asked)
    question = "What is my name? Answer with one word."
    second = client(box).responses.create(input=question, previous_response_id=first.id, **asked)
    assert "Ada" in second.output_text
    assert client(box).responses.retrieve(first.id).output_text == first.output_text
    client(box).responses.delete(first.id)
    with raises(openai.NotFoundError, status_code=404):
        client(box).responses.retrieve(first.id)


def tools(box: Box) -> None:
    asked = {"model": box.model, "tools": TOOLS, "max_output_tokens": 64, "temperature": 0, "store": False}
    turn = [{"role": "user", "content": ASK_WEATHER}]
    first = client(box).responses.create(input=turn, include=["reasoning.encrypted_content"], **asked)
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert "Paris" in json.loads(call.arguments)["city"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": WEATHER}
    second = client(box).responses.create(input=[*turn, *first.output, result], **asked)
    assert "21" in second.output_text


def forced(box: Box) -> None:
    asked = {"model": box.model, "input": ASK_WEATHER, "tools": TOOLS, "temperature": 0}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}
    for choice in ["required", {"type": "function", "name": "get_weather"}, allowed]:
        answer = client(box).responses.create(**asked, tool_choice=choice)
        assert [item.type for item in answer.output] == ["function_call"] * len(answer.output)
        assert json.loads(answer.output[0].arguments).keys() == {"city"}


def schema(box: Box) -> None:
    answer = client(box).responses.parse(
        model=box.model, input="Where is the Eiffel tower?", text_format=City, max_output_tokens=64, temperature=0
    )
    assert isinstance(answer.output_parsed, City)


def cancel(box: Box) -> None:
    with box.cancels_one():
        answer = client(box).responses.create(
            model=box.model, input=HELLO, stream=True, extra_body={"ignore_eos": True}
        )
        next(event for event in answer if event.type == "response.output_text.delta")
        answer.close()


def errors(box: Box) -> None:
    asked = {"model": box.model, "input": HELLO, "max_output_tokens": 16}
    with raises(openai.AuthenticationError, status_code=401, code="invalid_api_key"):
        client(box, "wrong").responses.create(**asked)
    with raises(openai.NotFoundError, status_code=404, code="model_not_found"):
        client(box).responses.create(**{**asked, "model": "gpt-5"})
    with raises(openai.BadRequestError, status_code=400, code="context_length_exceeded"):
        client(box).responses.create(**{**asked, "input": TOO_LONG})
    with raises(openai.BadRequestError, status_code=400, code="previous_response_not_found"):
        client(box).responses.create(**asked, previous_response_id="resp_none")


def tokens(box: Box) -> None:
    counted = client(box).responses.input_tokens.count(model=box.model, input=HELLO)
    answer = client(box).responses.create(model=box.model, input=HELLO, max_output_tokens=16)
    assert counted.input_tokens == answer.usage.input_tokens


def documents(box: Box) -> None:
    file = {
        "type": "input_file",
        "filename": "note.txt",
        "file_data": "data:text/plain;base64,VGhlIGNvZGUgd29yZCBpcyB6ZWJyYS4=",
    }
    question = {"type": "input_text", "text": "What is the code word? Answer with one word."}
    answer = client(box).responses.create(
        model=box.model,
        input=[{"role": "user", "content": [file, question]}],
        max_output_tokens=16,
        temperature=0,
    )
    assert "zebra" in answer.output_text.lower()
