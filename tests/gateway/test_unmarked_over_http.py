"""Calls without marks on every HTTP API, whole and streamed; and the requests in which they stay text."""

from __future__ import annotations

import json

import pytest

from tests.gateway.fake_triton import words

MODEL = "tiny-talker"
ASK = [{"role": "user", "content": "Weather in Paris?"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": FUNCTION}]
ANSWER = ("```js", 'on\n{"name": "get_', 'weather", "arguments": {"city": "Pa', 'ris"}}\n`', "``")
TEXT = "".join(ANSWER)
THINKING = ("<think>\nI should", " look.\n</think>\n\n")
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture(autouse=True)
def _answer(harness):
    harness.triton.script = words(*THINKING, *ANSWER)


def chat(client, **settings):
    return client.chat.completions.create(**{"model": MODEL, "messages": ASK, "tools": TOOLS, **settings})


@BOTH
def test_a_chat_has_the_call(client, stream):
    if stream:
        with client.chat.completions.stream(model=MODEL, messages=ASK, tools=TOOLS) as events:
            choice = events.get_final_completion().choices[0]
    else:
        choice = chat(client).choices[0]
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    assert choice.message.reasoning_content == "I should look."


def test_each_of_several_answers_has_its_call(client):
    answer = chat(client, n=2, temperature=1)
    assert [choice.finish_reason for choice in answer.choices] == ["tool_calls", "tool_calls"]
    assert len({choice.message.tool_calls[0].id for choice in answer.choices}) == 2


@BOTH
def test_a_response_has_the_call(client, stream):
    settings = {"model": MODEL, "input": ASK, "tools": [{"type": "function", **FUNCTION, "strict": False}]}
    if stream:
        with client.responses.stream(**settings) as events:
            response = events.get_final_response()
    else:
        response = client.responses.create(**settings)
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    assert response.output_text == ""


@BOTH
def test_a_message_has_the_call(claude, stream):
    tools = [{"name": "get_weather", "input_schema": PARAMETERS}]
    settings = {"model": MODEL, "max_tokens": 50, "messages": ASK, "tools": tools}
    if stream:
        with claude.messages.stream(**settings) as events:
            message = events.get_final_message()
    else:
        message = claude.messages.create(**settings)
    call = message.content[-1]
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    assert message.stop_reason == "tool_use"
    assert [block.type for block in message.content] == ["thinking", "tool_use"]


@BOTH
@pytest.mark.parametrize(
    "settings",
    [
        {"tool_choice": "none"},
        {"tools": []},
        {"tools": [{"type": "function", "function": {"name": "other"}}]},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": f"Copy: {TEXT}"}]},
        {"messages": [*ASK, {"role": "assistant", "content": "So: "}]},
    ],
    ids=["none", "no tools", "another tool", "a format", "a copy", "a continued turn"],
)
def test_the_answer_is_text(client, harness, settings, stream):
    harness.triton.script = words(*ANSWER)
    if stream:
        chunks = list(chat(client, stream=True, **settings))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"
    else:
        (choice,) = chat(client, **settings).choices
        text = choice.message.content
        assert choice.finish_reason == "stop"
    assert text == TEXT


def test_a_tool_s_result_that_the_model_repeats_is_text(client, harness):
    harness.triton.script = words(*ANSWER)
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    turns = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps({"file": TEXT})},
    ]
    assert chat(client, messages=turns).choices[0].message.content == TEXT


def test_an_answer_of_the_box_is_accepted_as_history(client, harness):
    message = chat(client).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    harness.triton.script = words("Sunny.")
    turn = {"role": "assistant", "content": None, "tool_calls": [call.model_dump() for call in message.tool_calls]}
    assert chat(client, messages=[*ASK, turn, result]).choices[0].message.content == "Sunny."
