"""The real `anthropic` client against the gateway."""

from __future__ import annotations

import json

import anthropic
import pytest

from tests.gateway.fake_triton import failure, piece, refusal, usage, words
from tests.gateway.tiny_artefact import tiny_tokenizer

MODEL = "tiny-instruct"
# It thinks and calls tools, as Qwen3 does.
TALKER = "tiny-talker"
HELLO = [{"role": "user", "content": "Say hello"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
# What a model that thinks and then calls would say, cut in awkward places.
CALLING = (
    *("<think>\nI should", " look.\n</thi", "nk>\n\nLet me see."),
    *("\n<tool_", 'call>\n{"name": "get_wea', 'ther", "arguments": {"city": "Pa', 'ris"}}\n</tool', "_call>"),
)


def ask(claude, **changes):
    return claude.messages.create(**{"model": MODEL, "max_tokens": 50, "messages": HELLO, **changes})


def prompt(harness) -> str:
    return str(tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False))


def test_a_message_comes_whole(claude, harness):
    harness.triton.script = words("one", " two")
    # Newer clients have no words for these.
    sampling = {"temperature": 0.5, "top_p": 0.9, "top_k": 7}
    message = ask(claude, system="Be brief", stop_sequences=["x"], extra_body=sampling)
    assert [(block.type, block.text) for block in message.content] == [("text", "one two")]
    assert (message.role, message.model, message.stop_reason, message.stop_sequence) == (
        *("assistant", MODEL, "end_turn"),
        None,
    )
    (asked,) = harness.triton.asked
    assert message.usage.input_tokens == len(asked.prompt_ids)
    assert message.usage.output_tokens == 2
    assert asked.sampling == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "repetition_penalty": 1.1,
        "stop": ["x"],
        "max_tokens": 50,
    }


def test_a_message_is_streamed(claude, harness):
    async def script(asked):
        yield piece("Hel", [1])
        yield piece("lo", [2])
        yield piece("", [], finish="stop", usage=usage(asked, 2, cached_tokens=4))

    harness.triton.script = script
    with claude.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream:
        assert list(stream.text_stream) == ["Hel", "lo"]
        message = stream.get_final_message()
    tokens = len(harness.triton.asked[0].prompt_ids)
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (tokens - 4, 4)
    assert (message.usage.output_tokens, message.stop_reason) == (2, "end_turn")


def test_the_raw_stream_has_anthropics_events_in_their_order(http, harness):
    harness.triton.script = words("a")
    body = {"model": MODEL, "max_tokens": 5, "messages": HELLO, "stream": True}
    response = http.post("/v1/messages", json=body, headers={"anthropic-version": "2023-06-01"})
    names = [line.removeprefix("event: ") for line in response.text.splitlines() if line.startswith("event: ")]
    assert names == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_the_stop_sequence_that_ended_it_is_named(claude, harness, stream):
    harness.triton.script = words("a", stop_reason="END")
    if stream:
        with claude.messages.stream(model=MODEL, max_tokens=9, messages=HELLO, stop_sequences=["END"]) as one:
            message = one.get_final_message()
    else:
        message = ask(claude, stop_sequences=["END", "x"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_a_completion_at_its_limit_says_so(claude, harness):
    harness.triton.script = words("a", finish="length")
    assert ask(claude).stop_reason == "max_tokens"


def test_a_limit_beyond_the_context_is_cut_and_the_stop_reason_tells(claude, harness):
    harness.triton.script = words("a", finish="length")
    assert ask(claude, max_tokens=20_000).stop_reason == "model_context_window_exceeded"
    assert "max_tokens" not in harness.triton.asked[0].sampling


def check_calling(message):
    thinking, text, call = message.content
    assert (thinking.type, thinking.thinking) == ("thinking", "I should look.")
    assert (text.type, text.text) == ("text", "Let me see.")
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    assert call.id.startswith("toolu_")
    assert message.stop_reason == "tool_use"
    return call


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_thinks_calls_a_tool_and_gets_its_result(claude, harness, stream):
    harness.triton.script = words(*CALLING)
    asked = {"model": TALKER, "max_tokens": 50, "messages": HELLO, "tools": [WEATHER]}
    if stream:
        with claude.messages.stream(**asked) as one:
            message = one.get_final_message()
    else:
        message = claude.messages.create(**asked)
    call = check_calling(message)
    assert '"get_weather"' in prompt(harness)

    harness.triton.script = words("Sunny.")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny, 20 degrees"}
    # The client's own way to send an answer of ours back.
    turns = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    assert claude.messages.create(**{**asked, "messages": turns}).content[0].text == "Sunny."
    # Byte by byte what the model said, so that its prefix is found again.
    assert "".join(CALLING) in prompt(harness)
    assert "<tool_response>\nsunny, 20 degrees\n</tool_response>" in prompt(harness)


def test_a_forced_tool_binds_the_engine(claude, harness):
    harness.triton.script = words(*CALLING)
    claude.messages.create(
        model=TALKER,
        max_tokens=50,
        messages=HELLO,
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather"},
    )
    assert "get_weather" in harness.triton.asked[0].sampling["structured_outputs"]["grammar"]


def test_thinking_can_be_turned_off(claude, harness):
    claude.messages.create(model=TALKER, max_tokens=5, messages=HELLO, thinking={"type": "disabled"})
    assert prompt(harness).endswith("<think>\n\n</think>\n\n")


def test_thinking_of_a_model_that_does_not_think_is_ignored_and_named(http):
    body = {"model": MODEL, "max_tokens": 5, "messages": HELLO, "thinking": {"type": "adaptive"}}
    response = http.post("/v1/messages", json=body)
    assert (response.status_code, response.headers["appliance-ignored-parameters"]) == (200, "thinking")


def test_an_answer_can_be_bound_to_a_schema(claude, harness):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    ask(claude, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert harness.triton.asked[0].sampling["structured_outputs"] == {"json": {**schema, "additionalProperties": False}}


def test_a_schema_that_cannot_be_held_is_refused_by_its_path(claude, harness):
    schema = {"type": "array", "uniqueItems": True}
    with pytest.raises(anthropic.BadRequestError, match="#/uniqueItems"):
        ask(claude, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert harness.triton.asked == []


def test_tokens_are_counted_without_the_engine(claude, harness):
    count = claude.messages.count_tokens(model=TALKER, messages=HELLO, system="Be brief", tools=[WEATHER]).input_tokens
    assert harness.triton.asked == []
    claude.messages.create(model=TALKER, max_tokens=5, messages=HELLO, system="Be brief", tools=[WEATHER])
    assert count == len(harness.triton.asked[0].prompt_ids)


def test_a_conversation_beyond_the_context_can_be_counted(claude):
    long = [{"role": "user", "content": "x" * (2 * 4096)}]
    assert claude.messages.count_tokens(model=TALKER, messages=long).input_tokens > 2 * 4096


@pytest.mark.parametrize(
    ("message", "kind", "expected"),
    [
        ("OverloadedError: full", anthropic.OverloadedError, (529, "overloaded_error")),
        ("DeadlineError: late", anthropic.GatewayTimeoutError, (504, "timeout_error")),
        ("UnavailableError: away", anthropic.ServiceUnavailableError, (503, "api_error")),
        ("EngineError: broken", anthropic.InternalServerError, (500, "api_error")),
        ("RequestError[stop]: wrong", anthropic.BadRequestError, (400, "invalid_request_error")),
    ],
)
def test_the_engines_refusals_have_anthropics_shape(claude, harness, message, kind, expected):
    harness.triton.script = refusal(message)
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask(claude)
    assert type(caught.value) is kind
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == expected
    assert caught.value.body["request_id"] == caught.value.response.headers["x-request-id"]


def test_a_failure_in_the_midst_of_a_stream_reaches_the_client(claude, harness):
    async def script(_asked):
        yield piece("a", [1])
        yield failure("EngineError: it broke")

    harness.triton.script = script
    with (
        pytest.raises(anthropic.APIStatusError, match="it broke"),
        claude.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream,
    ):
        stream.get_final_message()


def refused(http, harness, body, status=400):
    response = http.post("/v1/messages", content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == status, response.text
    assert set(response.json()) == {"type", "error", "request_id"}
    assert harness.triton.asked == []
    return response.json()["error"]


@pytest.mark.parametrize(
    ("changes", "words_of_it"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"container": "c"}, "container is not supported"),
        ({"mcp_servers": [{}]}, "mcp_servers is not supported"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [WEATHER]}, "tools is not supported"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "Sure "}]}, "white space"),
        ({"stop_sequences": [""]}, "stop_sequences[0]"),
    ],
)
def test_what_cannot_be_honoured_is_named(http, harness, changes, words_of_it):
    error = refused(http, harness, {"model": MODEL, "max_tokens": 5, "messages": HELLO, **changes})
    assert error["type"] == "invalid_request_error"
    assert words_of_it in error["message"]


def test_an_unknown_model_and_an_unknown_path_are_not_found(http, harness):
    error = refused(http, harness, {"model": "gpt", "max_tokens": 5, "messages": HELLO}, status=404)
    assert error["type"] == "not_found_error"
    response = http.get("/v1/messages/batches")
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")


def test_parameters_that_change_nothing_are_accepted(claude):
    ask(
        claude,
        metadata={"user_id": "someone"},
        service_tier="auto",
        system=[{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}],
        cache_control={"type": "ephemeral"},
        extra_headers={"anthropic-beta": "something-2026-01-01"},
    )
