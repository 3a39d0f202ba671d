"""The real `openai` client's Responses API against the gateway."""

from __future__ import annotations

import openai
import pydantic
import pytest

from tests.gateway.fake_triton import failure, piece, usage, words
from tests.gateway.test_openai_client import LOGPROBS
from tests.gateway.tiny_artefact import tiny_tokenizer

MODEL = "tiny-instruct"
# It thinks and calls tools, as Qwen3 does.
TALKER = "tiny-talker"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
# What a model that thinks and then calls twice would say, cut in awkward places.
CALLING = (
    *("<think>\nI should", " look.\n</thi", "nk>\n\nLet me see."),
    *("\n<tool_", 'call>\n{"name": "get_wea', 'ther", "arguments": {"city": "Pa', 'ris"}}\n</tool', "_call>"),
    *('\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}', "\n</tool_call>"),
)


def prompt(harness) -> str:
    return str(tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False))


def test_a_response_comes_whole(client, harness):
    harness.triton.script = words("one", " two")
    response = client.responses.create(
        model=MODEL,
        input="Say hello",
        instructions="Be brief",
        max_output_tokens=50,
        temperature=0,
        metadata={"a": "b"},
    )
    assert (response.output_text, response.status, response.error) == ("one two", "completed", None)
    assert (response.instructions, response.max_output_tokens, response.metadata) == ("Be brief", 50, {"a": "b"})
    (asked,) = harness.triton.asked
    assert (asked.sampling["max_tokens"], asked.sampling["temperature"]) == (50, 0)
    assert prompt(harness).startswith("<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nSay hello")
    assert response.usage.input_tokens == len(asked.prompt_ids)
    assert response.usage.output_tokens == 2
    assert response.usage.total_tokens == len(asked.prompt_ids) + 2


def test_a_response_is_streamed(client, harness):
    async def script(asked):
        yield piece("Hel", [1])
        yield piece("lo", [2])
        yield piece("", [], finish="stop", usage=usage(asked, 2, cached_tokens=4))

    harness.triton.script = script
    with client.responses.stream(model=MODEL, input="Say hello") as stream:
        events = list(stream)
        response = stream.get_final_response()
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["Hel", "lo"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert response.output_text == "Hello"
    assert response.usage.input_tokens_details.cached_tokens == 4
    kept = client.responses.retrieve(response.id)
    assert (kept.output_text, kept.output[0].id, kept.usage) == ("Hello", response.output[0].id, response.usage)


def test_a_stream_has_no_done_mark(http, harness):
    harness.triton.script = words("a")
    response = http.post("/v1/responses", json={"model": MODEL, "input": "a", "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.rstrip().splitlines()[-2] == "event: response.completed"


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_cut_by_its_length_is_incomplete(client, harness, stream):
    harness.triton.script = words("a", finish="length")
    if stream:
        response = list(client.responses.create(model=MODEL, input="a", max_output_tokens=1, stream=True))[-1].response
    else:
        response = client.responses.create(model=MODEL, input="a", max_output_tokens=1)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def calling(client, stream):
    asked = {"model": TALKER, "input": "Weather?", "tools": [WEATHER]}
    if not stream:
        return client.responses.create(**asked)
    with client.responses.stream(**asked) as one:
        return one.get_final_response()


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_thinks_calls_functions_and_gets_their_results(client, harness, stream):
    harness.triton.script = words(*CALLING)
    response = calling(client, stream)
    thinking, message, *calls = response.output
    assert (thinking.type, thinking.content[0].text) == ("reasoning", "I should look.")
    assert message.content[0].text == "Let me see."
    assert [(call.name, call.arguments) for call in calls] == [
        ("get_weather", '{"city": "Paris"}'),
        ("get_weather", '{"city": "Rome"}'),
    ]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": weather}
        for call, weather in zip(calls, ("sunny", "rain"), strict=True)
    ]
    harness.triton.script = words("Take an umbrella.")
    again = client.responses.create(model=TALKER, previous_response_id=response.id, input=results, tools=[WEATHER])
    assert again.output_text == "Take an umbrella."
    by_reference = prompt(harness)
    assert "<tool_response>\nrain\n</tool_response>" in by_reference
    assert '{"name": "get_weather", "arguments": {"city": "Paris"}}' in by_reference

    # The same conversation, sent as a whole by a client that keeps nothing here.
    items = [{"role": "user", "content": "Weather?"}, *(item.to_dict() for item in response.output), *results]
    client.responses.create(model=TALKER, input=items, tools=[WEATHER], store=False)
    assert prompt(harness) == by_reference


def test_a_conversation_goes_on_without_the_earlier_instructions(client, harness):
    harness.triton.script = words("one")
    first = client.responses.create(model=MODEL, input="a", instructions="Be brief")
    harness.triton.script = words("two")
    second = client.responses.create(model=MODEL, input="b", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    client.responses.create(model=MODEL, input="c", previous_response_id=second.id, instructions="Be long")
    assert prompt(harness) == (
        "<|im_start|>system\nBe long<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\none<|im_end|>\n"
        "<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_response_is_kept_listed_and_deleted(client):
    response = client.responses.create(
        model=MODEL, input=[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    )
    assert client.responses.retrieve(response.id) == response
    newest = client.responses.input_items.list(response.id, limit=1)
    assert [item.content[0].text for item in newest.data] == ["b"]
    assert newest.has_more
    every = client.responses.input_items.list(response.id, order="asc", limit=1)
    assert [item.content[0].text for item in every] == ["a", "b"]
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(response.id)


def test_a_response_that_is_not_stored_cannot_be_asked_for(client):
    response = client.responses.create(model=MODEL, input="a", store=False)
    assert response.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="a", previous_response_id=response.id)
    assert (caught.value.param, caught.value.code) == ("previous_response_id", "previous_response_not_found")


def test_a_response_that_failed_is_not_kept(client, harness):
    async def script(_asked):
        yield piece("a", [1])
        yield failure("EngineError: it broke")

    harness.triton.script = script
    events = list(client.responses.create(model=MODEL, input="a", stream=True))
    assert "error" in [event.type for event in events]
    assert events[-1].type == "response.failed"
    assert "it broke" in events[-1].response.error.message
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(events[0].response.id)


class Point(pydantic.BaseModel):
    x: int


def test_a_response_is_parsed_into_a_type(client, harness):
    harness.triton.script = words('{"x"', ": 5}")
    response = client.responses.parse(model=MODEL, input="a", text_format=Point)
    assert response.output_parsed == Point(x=5)
    assert harness.triton.asked[0].sampling["structured_outputs"]["json"]["properties"]["x"]["type"] == "integer"
    assert response.text.format.type == "json_schema"


@pytest.mark.parametrize("strict", [True, False])
def test_a_schema_that_cannot_be_held_is_named_or_refused(client, harness, strict):
    text = {"format": {"type": "json_schema", "name": "a", "strict": strict}}
    text["format"]["schema"] = {"type": "array", "uniqueItems": True}
    create = client.responses.with_raw_response.create
    if strict:
        with pytest.raises(openai.BadRequestError) as caught:
            create(model=MODEL, input="a", text=text)
        assert caught.value.param == "text.format"
        assert harness.triton.asked == []
    else:
        assert (
            create(model=MODEL, input="a", text=text).headers["appliance-schema-unheld"] == "text.format#/uniqueItems"
        )


def test_json_mode_binds_the_engine(client, harness):
    client.responses.create(model=MODEL, input="a", text={"format": {"type": "json_object"}})
    assert harness.triton.asked[0].sampling["structured_outputs"] == {"json_object": True}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}])
def test_a_forced_function_binds_the_engine(client, harness, choice):
    harness.triton.script = words(*CALLING)
    response = client.responses.create(model=TALKER, input="a", tools=[WEATHER], tool_choice=choice)
    assert "get_weather" in harness.triton.asked[0].sampling["structured_outputs"]["grammar"]
    assert response.to_dict()["tool_choice"] == choice


def test_thinking_is_turned_off_by_effort(client, harness):
    client.responses.create(model=TALKER, input="a", reasoning={"effort": "none"})
    assert prompt(harness).endswith("<think>\n\n</think>\n\n")
    answer = client.responses.with_raw_response.create(model=MODEL, input="a", reasoning={"effort": "low"})
    assert answer.headers["appliance-ignored-parameters"] == "reasoning.effort"


def test_logprobs_come_with_the_text(client, harness):
    async def script(asked):
        yield piece(tiny_tokenizer().decode([72, 75]), [72, 75], logprobs=LOGPROBS)
        yield piece("", [], finish="stop", usage=usage(asked, 2))

    harness.triton.script = script
    response = client.responses.create(
        model=MODEL, input="a", include=["message.output_text.logprobs"], top_logprobs=1, stream=False
    )
    tokens = response.output[0].content[0].logprobs
    assert [token.logprob for token in tokens] == [-0.5, -9.0]
    assert [len(token.top_logprobs) for token in tokens] == [1, 1]


def test_tokens_of_an_input_are_counted_without_the_engine(client, harness):
    asked = {"model": TALKER, "input": "Weather?", "instructions": "Be brief", "tools": [WEATHER]}
    count = client.responses.input_tokens.count(**asked).input_tokens
    assert harness.triton.asked == []
    client.responses.create(**asked)
    assert count == len(harness.triton.asked[0].prompt_ids)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"max_tokens": 5, "max_output_tokens": 6}, "max_tokens"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"include": ["file_search_call.results"]}, "include[0]"),
        ({"tools": [{"type": "file_search"}]}, "tools[0]"),
        ({"tools": [WEATHER]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"previous_response_id": "resp_none"}, "previous_response_id"),
        ({"input": None}, "input"),
    ],
)
def test_what_cannot_be_honoured_is_named(http, harness, changes, param):
    response = http.post("/v1/responses", json={"model": MODEL, "input": "a", **changes})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["param"].startswith(param)
    assert harness.triton.asked == []


@pytest.mark.parametrize(
    ("path", "param"),
    [("?stream=true", "stream"), ("/input_items?limit=0", "limit"), ("/input_items?before=a", "before")],
)
def test_a_query_that_cannot_be_honoured_is_named(client, http, path, param):
    response_id = client.responses.create(model=MODEL, input="a").id
    response = http.get(f"/v1/responses/{response_id}{path}")
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_parameters_that_change_nothing_are_accepted(client):
    client.responses.create(
        model=MODEL,
        input="a",
        background=False,
        truncation="disabled",
        service_tier="auto",
        user="someone",
        prompt_cache_key="k",
        parallel_tool_calls=True,
        text={"format": {"type": "text"}},
        include=["reasoning.encrypted_content"],
        tools=[],
    )
