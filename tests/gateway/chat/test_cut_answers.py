"""An answer that is cut anywhere is well-formed, and comes back as history: on every API, in every dialect."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway.chat.dialect import Dialect
from appliance.gateway.chat.history import for_template
from appliance.gateway.chat.parts import Part, Reasoning, Text, ToolArguments, ToolCall, joined
from appliance.gateway.chat.reader import Reader
from appliance.gateway.triton.completion import Delta
from tests.gateway.chat.reading import CODER, HERMES, THINKING, TOOLS, WEATHER
from tests.gateway.fake_triton import words
from tests.gateway.tiny_artefact import tiny_tokenizer

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="<"), max_size=12)
VALUES = st.fixed_dictionaries(
    {"city": TEXT}, optional={"days": st.integers(-99, 99), "exact": st.booleans(), "where": st.just({"a": [1, "}"]})}
)


def hermes_call(values: dict[str, Any]) -> str:
    arguments = json.dumps(values, ensure_ascii=False)
    return f'<tool_call>\n{{"name": "get_weather", "arguments": {arguments}}}\n</tool_call>'


def coder_call(values: dict[str, Any]) -> str:
    written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    inside = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in written.items())
    return f"<tool_call>\n<function=get_weather>\n{inside}</function>\n</tool_call>"


def answer_of(write: Callable[[dict[str, Any]], str], thought: str, said: str, calls: list[dict[str, Any]]) -> str:
    """An answer as templates write it."""
    begun = f"<think>\n{thought}\n</think>\n\n" if thought else ""
    return begun + "\n".join([*([said] if said else []), *map(write, calls)])


def read(dialect: Dialect, pieces: list[str], **end: Any) -> tuple[tuple[Part, ...], str]:
    """The parts of an answer in these pieces, and its finish reason; `end` is what the last delta says."""
    counter = itertools.count()
    reader = Reader(dialect, TOOLS, new_id=lambda: f"call_{next(counter)}")
    found = [reader.read(Delta(piece)) for piece in pieces]
    found.append(reader.read(Delta("", **end)))
    return joined([part for piece in found for part in piece.parts]), found[-1].finish_reason


def text_in(parts: tuple[Part, ...], kind: type[Text | Reasoning]) -> str:
    return "".join(part.text for part in parts if isinstance(part, kind))


def calls_in(parts: tuple[Part, ...]) -> list[str]:
    """The arguments of each call."""
    found = ["" for part in parts if isinstance(part, ToolCall)]
    for part in parts:
        if isinstance(part, ToolArguments):
            found[part.index] += part.text
    return found


WRITERS = {"hermes": (HERMES, hermes_call), "thinking": (THINKING, hermes_call), "coder": (CODER, coder_call)}


@given(thought=TEXT, said=TEXT, calls=st.lists(VALUES, max_size=2), cut=st.floats(0, 1))
@pytest.mark.parametrize("name", WRITERS)
def test_a_cut_anywhere_leaves_no_mark_and_the_beginning_of_everything(name, thought, said, calls, cut):
    dialect, write = WRITERS[name]
    answer = answer_of(write, thought if dialect.thinks else "", said, calls)
    whole, _ = read(dialect, [answer], finish_reason="stop")
    short = answer[: round(cut * len(answer))]
    parts, reason = read(dialect, list(short), finish_reason="length")
    assert (parts, reason) == read(dialect, [short], finish_reason="length")
    assert reason == "length"
    for kind in (Text, Reasoning):
        assert "<" not in text_in(parts, kind)
        assert text_in(whole, kind).startswith(text_in(parts, kind).rstrip("\n"))
    cut_calls, whole_calls = calls_in(parts), calls_in(whole)
    assert cut_calls[:-1] == whole_calls[: len(cut_calls)][:-1]
    if cut_calls:
        assert whole_calls[len(cut_calls) - 1].startswith(cut_calls[-1])
    history = [{"id": "c", "function": {"name": "get_weather", "arguments": text}} for text in cut_calls]
    (turn,) = for_template([{"role": "assistant", "content": "", "tool_calls": history}], "messages")
    for text, call in zip(cut_calls, turn["tool_calls"] if cut_calls else [], strict=True):
        assert call["function"]["arguments"].source == (text or "{}")


@pytest.mark.parametrize("name", WRITERS)
def test_a_stop_string_within_a_call_is_no_end_of_it(name):
    dialect, write = WRITERS[name]
    answer = write({"city": "Paris"})
    for at in range(1, len(answer)):
        parts, reason = read(dialect, [answer[:at]], finish_reason="stop", stop_reason="x")
        assert "<" not in text_in(parts, Text)
        calls = calls_in(parts)
        assert (reason == "tool_calls") is (calls == ['{"city": "Paris"}'])


# Over HTTP: what the box answered, sent back as a client sends it.

ASK = [{"role": "user", "content": "Weather in Paris?"}]
PARAMETERS = WEATHER.parameters
ANSWERS = {
    "tools": answer_of(hermes_call, "", "I look.", [{"city": "Zü\nrich"}, {"days": 3}]),
    "thinker": answer_of(hermes_call, "Hm.\nWell.", "", [{"city": "Paris"}]),
    "coder": answer_of(coder_call, "", "I look.", [{"city": "a\nb", "days": 12}]),
}


def tokens_of(answer: str) -> list[str]:
    """Pieces as a model's tokens are: words, marks, single signs."""
    return re.findall(r"</?tool_call>|</?think>|\w+|\s+|[^\w\s]", answer)


def events(response: Any) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def gathered(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The turn that a client gathers from a chat's deltas."""
    turn: dict[str, Any] = {"role": "assistant", "content": ""}
    for delta in (chunk["choices"][0]["delta"] for chunk in chunks):
        turn["content"] += delta.get("content") or ""
        for call in delta.get("tool_calls", []):
            calls = turn.setdefault("tool_calls", [])
            if call["index"] == len(calls):
                calls.append({**call, "function": {**call["function"], "arguments": ""}})
            calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return turn


def chat_round(http, _claude, model, stream):
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
    body = {"model": model, "messages": ASK, "tools": tools, "tool_choice": "required"}
    response = http.post("/v1/chat/completions", json={**body, "stream": stream})
    turn = gathered(events(response)) if stream else response.json()["choices"][0]["message"]
    assert "<" not in (turn["content"] or "")
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "?"} for call in turn.get("tool_calls") or []]
    return http.post("/v1/chat/completions", json={**body, "messages": [*ASK, turn, *results, *ASK]})


def responses_round(http, _claude, model, stream):
    tools = [{"type": "function", "name": "get_weather", "parameters": PARAMETERS}]
    body = {"model": model, "input": ASK, "tools": tools}
    response = http.post("/v1/responses", json={**body, "stream": stream})
    answer = events(response)[-1]["response"] if stream else response.json()
    assert answer["status"] == "incomplete"
    assert "<" not in "".join(item["content"][0]["text"] for item in answer["output"] if item["type"] == "message")
    by_reference = http.post("/v1/responses", json={**body, "previous_response_id": answer["id"]})
    assert by_reference.status_code == 200, by_reference.text
    return http.post("/v1/responses", json={**body, "input": [*ASK, *answer["output"], *ASK]})


def final_message(claude, stream, **body):
    if not stream:
        return claude.messages.create(**body)
    with claude.messages.stream(**body) as one:
        return one.get_final_message()


def messages_round(http, claude, model, stream):
    tools = [{"name": "get_weather", "input_schema": PARAMETERS}]
    body = {"model": model, "max_tokens": 50, "messages": ASK, "tools": tools}
    message = final_message(claude, stream, **body)
    content = [block.to_dict() for block in message.content]
    assert message.stop_reason == "max_tokens"
    assert "<" not in "".join(block["text"] for block in content if block["type"] == "text")
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "?"}
        for block in content
        if block["type"] == "tool_use"
    ]
    turns = [*ASK, {"role": "assistant", "content": content}, {"role": "user", "content": results}, *ASK]
    return http.post("/v1/messages", json={**body, "messages": turns})


@pytest.mark.parametrize("model", ANSWERS)
@pytest.mark.parametrize("ask", [chat_round, responses_round, messages_round])
def test_an_answer_cut_at_any_token_is_taken_back(http, claude, harness, ask, model):
    tokens = tokens_of(ANSWERS[model])
    for count in range(len(tokens) + 1):
        # Each API streams every second cut; between them they stream all, and have all in one piece.
        stream = bool(count % 2) == (ask is responses_round)
        harness.triton.script = words(*tokens[:count], finish="length")
        response = ask(http, claude, model, stream)
        assert response.status_code == 200, (count, response.text)


def prompt(asked) -> str:
    return str(tiny_tokenizer(more=True).decode(asked.prompt_ids, skip_special_tokens=False))


@pytest.mark.parametrize("count", range(len(tokens_of(ANSWERS["tools"])) + 1))
def test_a_turn_that_was_cut_keeps_the_prefix_as_far_as_its_calls_had_begun(http, harness, count):
    said = "".join(tokens_of(ANSWERS["tools"])[:count])
    harness.triton.script = words(said, finish="length")
    chat_round(http, None, "tools", stream=False)
    first, second = (prompt(asked) for asked in harness.triton.asked)
    # What had not become a call yet is not in the answer; nor is the newline between calls.
    kept = re.sub(r'\n?<tool_call>(?!.*"arguments": \{).*$', "", said, flags=re.DOTALL).removesuffix("\n")
    assert second.startswith(first + kept)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_anthropics_input_has_what_was_complete_when_it_was_cut(claude, harness, stream):
    for said, expected in [
        ('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Pa', {}),
        ('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "da', {"city": "Paris"}),
        ('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}', {"city": "Paris"}),
        ('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool', {"city": "Paris"}),
    ]:
        harness.triton.script = words(said, finish="length")
        tools = [{"name": "get_weather", "input_schema": PARAMETERS}]
        message = final_message(claude, stream, model="tools", max_tokens=9, messages=ASK, tools=tools)
        assert message.content[0].input == expected


@pytest.mark.parametrize(
    "arguments", ['{"city', '{"city": "a\nb"}', '{"city": ]}', '{"a": NaN}', '{"a": "\\ud83d', "", "{", '{"a": 1}}']
)
def test_arguments_that_the_model_wrote_wrong_are_rendered_as_they_were(http, harness, arguments):
    function = {"name": "get_weather", "arguments": arguments}
    turn = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": function}]}
    body = {"model": "tools", "messages": [*ASK, turn, *ASK]}
    assert http.post("/v1/chat/completions", json=body).status_code == 200
    assert f'"arguments": {arguments or "{}"}}}\n</tool_call>' in prompt(harness.triton.asked[0])


def test_a_value_with_half_a_surrogate_pair_is_no_fault_of_the_gateway(http, harness):
    for model, said in [
        ("coder", coder_call({"city": "a"}).replace("=city>\na", '=where>\n{"a": "\\ud83d"}')),
        ("tools", '<tool_call>\n{"arguments": {"city": "\\ud83d"}, "name": "get_weather"}\n</tool_call>'),
    ]:
        harness.triton.script = words(said)
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
        response = http.post("/v1/chat/completions", json={"model": model, "messages": ASK, "tools": tools})
        assert response.status_code == 200
