"""Tools with the real `openai` client: offered, called, streamed, answered; and what is refused."""

from __future__ import annotations

import json
import threading

import openai
import pydantic
import pytest

from appliance.gateway.chat import history
from tests.gateway.fake_triton import refusal, words
from tests.gateway.tiny_artefact import tiny_tokenizer

ASK = [{"role": "user", "content": "Weather in Paris?"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": SCHEMA}}
TIME = {"type": "function", "function": {"name": "get_time"}}
CALL = [
    "<tool_call>",
    '\n{"name"',
    ': "get_weather", "argu',
    'ments": {"city"',
    ': "Pa',
    'ris"}',
    "}\n",
    "</tool_call>",
]


def strict(tool):
    return {"type": "function", "function": {**tool["function"], "strict": True}}


def prompt(harness):
    return tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False)


def ask(client, **settings):
    return client.chat.completions.create(**{"model": "tools", "messages": ASK, "tools": [WEATHER, TIME], **settings})


def test_a_call_comes_whole(client, harness):
    harness.triton.script = words("Let me see.\n", *CALL)
    (choice,) = ask(client).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me see."
    (call,) = choice.message.tool_calls
    assert call.id.startswith("call_")
    assert (call.type, call.function.name, call.function.arguments) == ("function", "get_weather", '{"city": "Paris"}')
    assert "structured_outputs" not in harness.triton.asked[0].sampling


def test_an_answer_of_calls_alone_has_no_content(client, harness):
    harness.triton.script = words(*CALL)
    assert ask(client).choices[0].message.content is None


def test_calls_are_streamed_while_the_model_writes_them(client, harness):
    harness.triton.script = words(
        "Hm.\n", *CALL, "\n<tool_call>\n", '{"name": "get_time", "arguments": {}}\n</tool_call>'
    )
    chunks = list(ask(client, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hm."
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    begun = [call for call in deltas if call.id]
    assert [(call.index, call.function.name, call.type) for call in begun] == [
        (0, "get_weather", "function"),
        (1, "get_time", "function"),
    ]
    arguments = ["".join(call.function.arguments for call in deltas if call.index == index) for index in (0, 1)]
    assert arguments == ['{"city": "Paris"}', "{}"]
    assert len([call for call in deltas if call.index == 0]) > 3
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_the_clients_own_gathering_of_a_stream_understands_us(client, harness):
    harness.triton.script = words(*CALL)
    with client.chat.completions.stream(model="tools", messages=ASK, tools=[strict(WEATHER)]) as stream:
        events = [event.type for event in stream]
        (call,) = stream.get_final_completion().choices[0].message.tool_calls
    assert "tool_calls.function.arguments.delta" in events
    assert call.function.parsed_arguments == {"city": "Paris"}


def test_tools_and_their_history_go_through_the_models_template(client, harness):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":  "Paris"}'}}
    turns = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    ask(client, messages=turns)
    assert prompt(harness) == (
        "<|im_start|>system\n# Tools\n"
        '{"type": "function", "function": {"name": "get_weather", "description": "Weather.", '
        f'"parameters": {json.dumps(SCHEMA)}}}}}\n'
        '{"type": "function", "function": {"name": "get_time", "description": "", '
        '"parameters": {"type": "object", "properties": {}}}}\n<|im_end|>\n'
        "<|im_start|>user\nWeather in Paris?<|im_end|>\n"
        '<|im_start|>assistant\n<tool_call>\n{"name": "get_weather", "arguments": {"city":  "Paris"}}\n</tool_call>'
        "<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )


def test_an_answer_of_ours_with_calls_can_be_sent_back_as_a_turn(client, harness):
    harness.triton.script = words("A\n", *CALL)
    answer = ask(client).choices[0].message
    first = prompt(harness)
    result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "sunny"}
    ask(client, messages=[*ASK, answer, result])
    assert prompt(harness).startswith(first + "A\n" + "".join(CALL) + "<|im_end|>\n")


@pytest.mark.parametrize(
    ("settings", "has_text", "several", "bound"),
    [
        ({"tool_choice": "required"}, False, True, True),
        ({"tool_choice": "required", "parallel_tool_calls": False}, False, False, True),
        ({"tool_choice": {"type": "function", "function": {"name": "get_weather"}}}, False, False, True),
        ({"tools": [strict(WEATHER), TIME]}, True, True, True),
        ({"parallel_tool_calls": False}, True, False, False),
    ],
)
def test_what_must_be_called_is_bound_by_a_grammar(client, harness, settings, has_text, several, bound):
    ask(client, **settings)
    grammar = harness.triton.asked[0].sampling["structured_outputs"]["grammar"]
    assert ("plain" in grammar) is has_text
    assert (")*" in grammar.splitlines()[0]) is several
    assert ('"required": ["city"]' in grammar) is bound


def test_a_named_tool_is_the_only_one_that_can_be_called(client, harness):
    ask(client, tool_choice={"type": "function", "function": {"name": "get_time"}})
    grammar = harness.triton.asked[0].sampling["structured_outputs"]["grammar"]
    assert "get_time" in grammar
    assert "get_weather" not in grammar


def test_no_call_is_made_when_none_is_chosen_and_the_prompt_stays_the_same(client, harness):
    ask(client)
    offered = prompt(harness)
    harness.triton.script = words(*CALL)
    answer = ask(client, tool_choice="none", logit_bias={"5": 1})
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    assert prompt(harness) == offered
    mark = tiny_tokenizer(more=True).token_to_id("<tool_call>")
    assert harness.triton.asked[-1].sampling["logit_bias"] == {"5": 1, str(mark): -100}


def test_the_coders_form_is_read_where_the_manifest_says_so(client, harness):
    harness.triton.script = words(
        "<tool_call>\n<function=get_weather>\n<para", "meter=city>\nPa", "ris\n</parameter>\n</function>\n</tool_call>"
    )
    (call,) = ask(client, model="coder").choices[0].message.tool_calls
    assert call.function.arguments == '{"city": "Paris"}'


def test_a_call_of_a_tool_that_was_not_offered_is_text(client, harness):
    harness.triton.script = words(*CALL)
    message = ask(client, tools=[TIME]).choices[0].message
    assert message.tool_calls is None
    assert message.content == "".join(CALL)


def called_with(arguments):
    function = {"name": "f", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}


def strict_with(**parameters):
    return [{"type": "function", "function": {"name": "f", "strict": True, "parameters": parameters}}]


ARGUMENTS = "messages[1].tool_calls[0].function.arguments"
LONG_TEXT = {"type": "string", "minLength": 3}
UNIQUE = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}


def bound_to(schema, **more):
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, **more}}


@pytest.mark.parametrize(
    ("settings", "param", "words"),
    [
        ({"model": "speaker"}, "tools", "not trained to call tools"),
        ({"tools": [WEATHER, WEATHER]}, "tools", "the same name"),
        ({"tools": [], "tool_choice": "required"}, "tool_choice", "needs tools"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice", "not one of the tools"),
        ({"messages": [*ASK, called_with("[1]")]}, ARGUMENTS, "JSON object"),
        ({"messages": [*ASK, called_with("none")]}, ARGUMENTS, "JSON object"),
        ({"tools": strict_with(type="string")}, "tools", "'f'"),
        ({"tools": strict_with(type=["array", "null"]), "tool_choice": "required"}, "tools", "'object'"),
        (
            {"tools": strict_with(type="object", minProperties=3)},
            "tools",
            "the tool 'f' cannot be enforced: minProperties at #/",
        ),
        ({"tools": [WEATHER, *strict_with(properties={"a b": UNIQUE})]}, "tools", "#/properties/a%20b/uniqueItems"),
        ({"tools": [], "response_format": bound_to(UNIQUE, strict=True)}, "response_format", "uniqueItems at #/"),
        ({"model": "coder", "tools": strict_with(anyOf=[{"required": ["a"]}])}, "tools", "cannot be strict"),
        ({"model": "coder", "tools": strict_with(properties={"a": LONG_TEXT})}, "tools", "rules of its own"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(client, harness, settings, param, words):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **settings)
    assert caught.value.param == param
    assert words in caught.value.message
    assert harness.triton.asked == []


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"tools": [strict(WEATHER)]}, "tools"),
        ({"tools": openai.omit, "response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_the_engine_cannot_compile_has_the_clients_own_name(client, harness, settings, param):
    harness.triton.script = refusal("RequestError[structured_outputs]: structured_outputs cannot be enforced: too deep")
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **settings)
    assert caught.value.param == param
    assert f"{param} cannot be enforced: too deep" in caught.value.message


class Answer(pydantic.BaseModel):
    city: str
    days: int


def test_an_answer_is_parsed_into_the_clients_class(client, harness):
    harness.triton.script = words('{"city": "Par', 'is", "days": 3}')
    answer = client.chat.completions.parse(model="tools", messages=ASK, response_format=Answer)
    assert answer.choices[0].message.parsed == Answer(city="Paris", days=3)
    schema = harness.triton.asked[0].sampling["structured_outputs"]["json"]
    assert schema["required"] == ["city", "days"]


def test_the_formats_reach_the_engine(client, harness):
    def asked(**response_format):
        ask(client, tools=openai.omit, response_format=response_format)
        return harness.triton.asked[-1].sampling.get("structured_outputs")

    assert asked(type="text") is None
    assert asked(type="json_object") == {"json_object": True}
    assert asked(type="json_schema", json_schema={"name": "a"}) == {"json_object": True}
    assert asked(type="json_schema", json_schema={"name": "a", "schema": {"type": "array"}}) == {
        "json": {"type": "array"}
    }


def test_a_format_and_tools_go_together(client, harness):
    ask(client, response_format={"type": "json_object"})
    grammar = harness.triton.asked[0].sampling["structured_outputs"]["grammar"]
    assert grammar.startswith('start:  (format | "<tool_call>"')


UNHELD = "appliance-schema-unheld"


@pytest.mark.parametrize("stream", [False, True])
def test_a_lenient_schema_is_held_as_far_as_can_be_and_the_answer_names_the_rest(client, harness, stream):
    raw = client.chat.completions.with_raw_response
    settings = {"model": "tools", "messages": ASK, "stream": stream}
    answer = raw.create(**settings, response_format=bound_to({"type": "object", "properties": {"a": UNIQUE}}))
    assert answer.headers[UNHELD] == "response_format#/properties/a/uniqueItems"
    held = harness.triton.asked[0].sampling["structured_outputs"]["json"]
    properties = {"a": {"type": "array", "items": {"type": "integer"}}}
    assert held == {"type": "object", "properties": properties, "additionalProperties": False}
    bad = {
        "type": "function",
        "function": {"name": "bad-One", "parameters": {"type": "object", "not": {"required": ["x"]}}},
    }
    answer = raw.create(**settings, tools=[WEATHER, bad], tool_choice="required")
    assert answer.headers[UNHELD] == "bad-One#/not"
    assert UNHELD not in raw.create(**settings, tools=[strict(WEATHER), bad]).headers
    assert UNHELD not in raw.create(**settings).headers


def test_the_coders_form_names_what_it_cannot_hold(client):
    tool = {"name": "f", "parameters": {"type": "object", "properties": {"a": LONG_TEXT}}}
    answer = client.chat.completions.with_raw_response.create(
        model="coder", messages=ASK, tools=[{"type": "function", "function": tool}], tool_choice="required"
    )
    assert answer.headers[UNHELD] == "f#/properties/a"


def test_the_header_stays_small_and_plain(http):
    names = {f"é\r\n{index}{'x' * 300}": UNIQUE for index in range(200)}
    answer = http.post(
        "/v1/chat/completions",
        json={"model": "tools", "messages": ASK, "response_format": bound_to({"type": "object", "properties": names})},
    )
    assert answer.status_code == 200
    assert answer.headers[UNHELD].endswith(", ...")
    assert len(answer.headers[UNHELD]) < 4000


@pytest.mark.parametrize("text", ["[1, 1]", "[1, 2]", "[1, 1"])
def test_a_finished_answer_is_looked_at_beside_what_its_grammar_does_not_hold(client, harness, text):
    harness.triton.script = words(*text)
    answer = client.chat.completions.with_raw_response.create(
        model="tools", messages=ASK, response_format=bound_to(UNIQUE)
    )
    assert answer.headers.get("appliance-schema-broken") == ("response_format" if text == "[1, 1]" else None)
    assert answer.parse().choices[0].message.content == text


def test_a_finished_call_is_looked_at_beside_what_its_grammar_does_not_hold(client, harness):
    bad = {**SCHEMA, "not": {"properties": {"city": {"const": "Paris"}}}}
    harness.triton.script = words(*CALL)
    answer = client.chat.completions.with_raw_response.create(
        model="tools",
        messages=ASK,
        tools=[{"type": "function", "function": {"name": "get_weather", "parameters": bad}}],
        tool_choice="required",
    )
    assert answer.headers["appliance-schema-broken"] == "get_weather"


def called_with(arguments):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
    return [*ASK, {"role": "assistant", "tool_calls": [call]}, result]


def test_arguments_longer_than_the_context_are_refused_before_they_are_parsed(client, monkeypatch):
    # The limits on the values of a body do not count what is inside a text.
    monkeypatch.setattr(history, "for_template", None)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tools", messages=called_with('{"a":[' + "1," * 60_000 + "1]}"))
    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")


def test_the_arguments_of_calls_are_read_beside_the_event_loop(client, harness, monkeypatch):
    threads = []

    def for_template(*given):
        threads.append(threading.get_ident())
        return read(*given)

    async def thread():
        return threading.get_ident()

    read = history.for_template
    monkeypatch.setattr(history, "for_template", for_template)
    client.chat.completions.create(model="tools", messages=ASK)
    client.chat.completions.create(model="tools", messages=called_with("{}"))
    assert threads[0] == harness.run(thread()) != threads[1]
