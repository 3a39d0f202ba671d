"""The real `ollama` client's chats against the gateway."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import ollama
import pytest

from tests.gateway.fake_triton import failure, piece, refusal, usage, words
from tests.gateway.slow_model import Slow
from tests.gateway.tiny_artefact import tiny_tokenizer

MODEL = "tiny-instruct"
# It thinks and calls tools, as Qwen3 does.
TALKER = "tiny-talker"
HELLO = [{"role": "user", "content": "Say hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather", "parameters": SCHEMA},
}
# What a model that thinks and then calls would say, cut in awkward places.
CALLING = (
    *("<think>\nI should", " look.\n</thi", "nk>\n\nLet me see."),
    *("\n<tool_", 'call>\n{"name": "get_wea', 'ther", "arguments": {"city": "Pa', 'ris"}}\n</tool', "_call>"),
)
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def prompt(harness) -> str:
    return str(tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False))


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.text.splitlines()]


def merged(chunks) -> dict[str, Any]:
    """One message of a stream's."""
    chunks = list(chunks)
    calls = [call for chunk in chunks for call in chunk.message.tool_calls or ()]
    return {
        "content": "".join(chunk.message.content or "" for chunk in chunks),
        "thinking": "".join(chunk.message.thinking or "" for chunk in chunks),
        "calls": [(call.function.name, call.function.arguments) for call in calls],
        "end": chunks[-1],
    }


def read(answer: Any) -> None:
    """Read the rest of a stream."""
    if not isinstance(answer, ollama.ChatResponse):
        list(answer)


def test_an_answer_comes_whole_with_its_counts_and_times(llama, harness):
    harness.triton.script = words("one", " two")
    answer = llama.chat(model=MODEL, messages=[{"role": "system", "content": "Be brief"}, *HELLO])
    assert (answer.model, answer.message.role, answer.message.content) == (MODEL, "assistant", "one two")
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert RFC_3339.fullmatch(answer.created_at)
    assert answer.prompt_eval_count == len(harness.triton.asked[0].prompt_ids)
    assert (answer.eval_count, answer.prompt_eval_duration, answer.eval_duration) == (2, 100_000_000, 200_000_000)
    assert answer.total_duration > 0
    assert answer.load_duration == 0
    assert "Be brief" in prompt(harness)


def test_every_option_reaches_the_engine_by_its_name(llama, harness):
    options = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "min_p": 0.1,
        "seed": 3,
        "stop": ["x"],
        "num_predict": 50,
        "repeat_penalty": 1.2,
        "presence_penalty": 1,
        "frequency_penalty": -1,
    }
    llama.chat(model=MODEL, messages=HELLO, options=options)
    assert harness.triton.asked[0].sampling == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "min_p": 0.1,
        "seed": 3,
        "stop": ["x"],
        "max_tokens": 50,
        "repetition_penalty": 1.2,
        "presence_penalty": 1,
        "frequency_penalty": -1,
    }


@pytest.mark.parametrize("number", [-1, -2, 0])
def test_a_num_predict_that_is_not_positive_is_no_limit(llama, harness, number):
    llama.chat(model=MODEL, messages=HELLO, options={"num_predict": number})
    assert "max_tokens" not in harness.triton.asked[0].sampling


def test_num_ctx_limits_prompt_plus_answer(llama, harness):
    llama.chat(model=MODEL, messages=HELLO, options={"num_ctx": 60, "num_predict": 59})
    (asked,) = harness.triton.asked
    assert asked.sampling["max_tokens"] == 60 - len(asked.prompt_ids)


def test_an_answer_is_streamed_as_lines_by_default(http, harness):
    harness.triton.script = words("Hel", "lo")
    response = http.post("/api/chat", json={"model": MODEL, "messages": HELLO})
    assert response.headers["content-type"] == "application/x-ndjson"
    first, second, last = lines(response)
    assert (first["message"], second["message"]["content"]) == ({"role": "assistant", "content": "Hel"}, "lo")
    assert (first["done"], last["done"], last["message"]["content"]) == (False, True, "")
    assert last["done_reason"] == "stop"
    assert last["eval_count"] == 2
    assert "done_reason" not in first


def test_the_client_reads_a_stream(llama, harness):
    harness.triton.script = words("Hel", "lo")
    answer = merged(llama.chat(model=MODEL, messages=HELLO, stream=True))
    assert answer["content"] == "Hello"
    assert answer["end"].done_reason == "stop"


def test_a_completion_at_its_limit_says_so(llama, harness):
    harness.triton.script = words("a", finish="length")
    assert llama.chat(model=MODEL, messages=HELLO, options={"num_predict": 1}).done_reason == "length"


def test_a_limit_beyond_the_context_is_cut(llama, harness):
    llama.chat(model=MODEL, messages=HELLO, options={"num_predict": 20_000, "num_ctx": 1 << 20})
    assert harness.triton.asked[0].sampling.get("max_tokens") is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_thinks_calls_a_tool_and_gets_its_result(llama, harness, stream):
    harness.triton.script = words(*CALLING)
    asked = {"model": TALKER, "messages": HELLO, "tools": [WEATHER]}
    answer = llama.chat(**asked, stream=stream)
    if stream:
        found = merged(answer)
        message = ollama.Message(
            role="assistant",
            content=found["content"],
            thinking=found["thinking"],
            tool_calls=[{"function": {"name": name, "arguments": dict(given)}} for name, given in found["calls"]],
        )
        answer = found["end"]
    else:
        message = answer.message
    assert (message.thinking, message.content) == ("I should look.", "Let me see.")
    (call,) = message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Paris"})
    assert answer.done_reason == "stop"
    assert '"get_weather"' in prompt(harness)

    harness.triton.script = words("Sunny.")
    result = {"role": "tool", "tool_name": "get_weather", "content": "sunny, 20 degrees"}
    assert llama.chat(**{**asked, "messages": [*HELLO, message, result]}).message.content == "Sunny."
    # Byte by byte what the model said, so that its prefix is found again.
    assert "".join(CALLING) in prompt(harness)
    assert "<tool_response>\nsunny, 20 degrees\n</tool_response>" in prompt(harness)


def test_calls_have_ids_and_places(http, harness):
    calls = [
        f'<tool_call>\n{{"name": "get_weather", "arguments": {{"city": "{city}"}}}}\n</tool_call>' for city in "ab"
    ]
    harness.triton.script = words("\n".join(calls))
    body = {"model": TALKER, "messages": HELLO, "tools": [WEATHER], "stream": False}
    found = http.post("/api/chat", json=body).json()["message"]["tool_calls"]
    assert [call["function"]["index"] for call in found] == [0, 1]
    assert len({call["id"] for call in found}) == 2


def test_results_belong_to_the_calls_of_their_names(http, harness):
    def calls(**more: Any) -> list[dict[str, Any]]:
        return [{"function": {"name": name, "arguments": {}}, **more} for name in ("a", "b")]

    turns = [
        *HELLO,
        {"role": "assistant", "tool_calls": calls()},
        {"role": "tool", "content": "of b", "tool_name": "b"},
        {"role": "tool", "content": "of a"},
        {"role": "tool", "content": "of none", "tool_name": "c"},
    ]
    assert http.post("/api/chat", json={"model": TALKER, "messages": turns, "stream": False}).status_code == 200
    assert prompt(harness).index("of b") < prompt(harness).index("of a") < prompt(harness).index("of none")


def test_a_call_that_was_cut_has_its_complete_part(llama, harness):
    harness.triton.script = words('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Pa', finish="length")
    answer = llama.chat(model=TALKER, messages=HELLO, tools=[WEATHER])
    assert answer.done_reason == "length"
    assert all(set(call.function.arguments) <= {"city"} for call in answer.message.tool_calls or ())


@pytest.mark.parametrize("stream", [False, True])
def test_arguments_that_are_no_object_are_an_error_of_the_model(llama, harness, stream):
    harness.triton.script = words('<tool_call>\n{"name": "get_weather", "arguments": {"city": nonsense}}\n</tool_call>')
    with pytest.raises(ollama.ResponseError, match="get_weather"):
        read(llama.chat(model=TALKER, messages=HELLO, tools=[WEATHER], stream=stream))


@pytest.mark.parametrize(("think", "is_thinking"), [(False, False), (True, True), ("low", True)])
def test_thinking_is_a_switch(llama, harness, think, is_thinking):
    llama.chat(model=TALKER, messages=HELLO, think=think)
    assert prompt(harness).endswith("<think>\n\n</think>\n\n") is not is_thinking


def test_thinking_of_a_model_that_does_not_think_is_ignored_and_named(http):
    response = http.post("/api/chat", json={"model": MODEL, "messages": HELLO, "think": True})
    assert (response.status_code, response.headers["appliance-ignored-parameters"]) == (200, "think")


@pytest.mark.parametrize(
    ("form", "wanted"),
    [("json", {"json_object": True}), (SCHEMA, {"json": {**SCHEMA, "additionalProperties": False}})],
)
def test_an_answer_can_be_bound_to_a_format(llama, harness, form, wanted):
    llama.chat(model=MODEL, messages=HELLO, format=form)
    assert harness.triton.asked[0].sampling["structured_outputs"] == wanted


def test_what_a_schema_does_not_enforce_is_named_in_the_header(http):
    schema = {"type": "array", "uniqueItems": True}
    response = http.post("/api/chat", json={"model": MODEL, "messages": HELLO, "format": schema})
    assert response.headers["appliance-schema-unheld"] == "format#/uniqueItems"


def test_an_empty_format_is_none(http, harness):
    assert http.post("/api/chat", json={"model": MODEL, "messages": HELLO, "format": ""}).status_code == 200
    assert "structured_outputs" not in harness.triton.asked[0].sampling


def test_the_text_of_an_assistant_at_the_end_is_continued(llama, harness):
    llama.chat(model=MODEL, messages=[*HELLO, {"role": "assistant", "content": "Once upon"}])
    assert prompt(harness).endswith("Once upon")


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_come_with_their_tokens(llama, harness, stream):
    figure = {"5": {"logprob": -0.5}, "6": {"logprob": -1.0}}

    async def script(asked):
        assert asked.sampling["logprobs"] == 1
        yield piece("a", [5], logprobs=[figure])
        yield piece("", [], finish="stop", usage=usage(asked, 1))

    harness.triton.script = script
    answer = llama.chat(model=MODEL, messages=HELLO, logprobs=True, top_logprobs=1, stream=stream)
    found = [one for chunk in (answer if stream else [answer]) for one in chunk.logprobs or ()]
    assert [(one.logprob, [each.logprob for each in one.top_logprobs]) for one in found] == [(-0.5, [-0.5])]


def test_the_tag_latest_is_the_model_itself(llama):
    assert llama.chat(model=f"{MODEL}:latest", messages=HELLO).model == MODEL
    with pytest.raises(ollama.ResponseError) as caught:
        llama.chat(model=f"{MODEL}:7b", messages=HELLO)
    assert caught.value.status_code == 404


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("OverloadedError: full", 429),
        ("DeadlineError: late", 504),
        ("UnavailableError: away", 503),
        ("EngineError: broken", 500),
        ("RequestError[stop]: wrong", 400),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_engines_refusals_have_ollamas_shape(llama, harness, message, status, stream):
    harness.triton.script = refusal(message)
    with pytest.raises(ollama.ResponseError) as caught:
        read(llama.chat(model=MODEL, messages=HELLO, stream=stream))
    assert caught.value.status_code == status
    assert message.partition(": ")[2] in caught.value.error


def test_a_failure_in_the_midst_of_a_stream_is_its_last_line(llama, harness):
    async def script(_asked):
        yield piece("a", [1])
        yield failure("EngineError: it broke")

    harness.triton.script = script
    stream = llama.chat(model=MODEL, messages=HELLO, stream=True)
    assert next(stream).message.content == "a"
    with pytest.raises(ollama.ResponseError, match="it broke"):
        next(stream)


def test_a_stream_that_waits_sends_lines_that_add_nothing(make_harness, make_llama):
    box = make_harness(stream_head_after_s=0.01, stream_ping_s=0.01)
    box.triton.script = slow = Slow("Hello")
    chunks = make_llama(box.url).chat(model=MODEL, messages=HELLO, stream=True)
    first = [next(chunks) for _ in range(3)]
    assert [(chunk.message.content, chunk.done) for chunk in first] == [("", False)] * 3
    slow.may_go_on = True
    assert merged(chunks)["content"] == "Hello"
