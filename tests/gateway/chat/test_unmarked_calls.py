"""Answers that are, as a whole, calls without the model's marks: recognised, and never with text around them."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway.chat.parts import Reasoning, Text, ToolArguments, ToolCall
from appliance.gateway.chat.reader import Reader
from appliance.gateway.chat.request import Tool
from appliance.gateway.chat.unmarked import UnmarkedCalls
from appliance.gateway.triton.completion import Delta
from tests.gateway.chat.reading import CODER, HERMES, THINKING, TIME, TOOLS, WEATHER, cuts, read

PARIS = '{"city": "Paris"}'
CALL = f'{{"name": "get_weather", "arguments": {PARIS}}}'
SPREAD = '{\n  "name": "get_weather",\n  "arguments": {\n    "city": "Paris"\n  }\n}'
NOW = '{"name": "get_time", "arguments": {}}'
MARKED = f"<tool_call>\n{CALL}\n</tool_call>"
STRICT = Tool("get_weather", parameters=WEATHER.parameters, strict=True)


def unmarked(tools=TOOLS, *, several=True, contents=()):
    return UnmarkedCalls(tools, several=several, contents=contents)


def outcome(pieces, dialect=HERMES, *, tools=TOOLS, several=True, contents=(), **how):
    """The parts and the finish reason of an answer."""
    recogniser = unmarked(tools, several=several, contents=contents)
    return read(dialect, pieces, tools, unmarked=recogniser, **how)


def called(*pairs):
    parts = []
    for index, (name, arguments) in enumerate(pairs):
        parts += [ToolCall(index, f"call_{index}", name), ToolArguments(index, arguments)]
    return tuple(parts)


ONE = called(("get_weather", PARIS))
TWO = called(("get_weather", PARIS), ("get_time", "{}"))
CALLS = {
    "plain": (CALL, ONE),
    "white space around": (f"\n  {CALL}\n\n", ONE),
    "a fence": (f"```json\n{CALL}\n```", ONE),
    "a fence without a language": (f"```\n{CALL}\n```\n", ONE),
    "over several lines": (f"```json\n{SPREAD}\n```", called(("get_weather", '{\n    "city": "Paris"\n  }'))),
    "tags": (f"<tools>\n{CALL}\n</tools>", ONE),
    "tags in a fence": (f"```xml\n<tools>\n{CALL}\n</tools>\n```", ONE),
    "the model's marks in a fence": (f"```xml\n{MARKED}\n```", ONE),
    "parameters": (CALL.replace("arguments", "parameters"), ONE),
    "arguments first": (f'{{"arguments": {PARIS}, "name": "get_weather"}}', ONE),
    "a list": (f"[{CALL}, {NOW}]", TWO),
    "a list in a fence": (f"```json\n[\n{CALL},\n{NOW}\n]\n```", TWO),
    "one a line": (f"{CALL}\n{NOW}", TWO),
    "one a line in a fence": (f"```json\n{CALL}\n{NOW}\n```", TWO),
    "several fences": (f"```json\n{CALL}\n```\n\n```json\n{NOW}\n```", TWO),
    "the model's marks around the second call": (
        f"{CALL}\n<tool_call>\n{NOW}\n</tool_call>",
        TWO,
    ),
    "several tags": (f"<tools>{CALL}</tools>\n<tools>{NOW}</tools>", TWO),
    "marks of all kinds inside of a text": (
        '{"name": "get_weather", "arguments": {"city": "``` </tools> ]} \\" <tool_call>"}}',
        called(("get_weather", '{"city": "``` </tools> ]} \\" <tool_call>"}')),
    ),
}
TEXTS = {
    "words before": f"Let me call it:\n{CALL}",
    "words after": f"{CALL}\nThis calls the tool.",
    "words after a fence": f"```json\n{CALL}\n```\n\nIn this example, the tool is called.",
    "words between": f"{CALL}\nand\n{NOW}",
    "a tool that is not offered": '{"name": "rm", "arguments": {}}',
    "one tool of two is not offered": f'{CALL}\n{{"name": "rm", "arguments": {{}}}}',
    "no arguments": '{"name": "get_time"}',
    "arguments that are a text": '{"name": "get_time", "arguments": "{}"}',
    "arguments that are a list": '{"name": "get_time", "arguments": []}',
    "arguments twice": '{"name": "get_time", "arguments": {}, "parameters": {}}',
    "a name twice": '{"name": "get_weather", "arguments": {"city": "Rome", "city": "Oslo"}}',
    "another key": '{"name": "get_time", "arguments": {}, "id": 5}',
    "invalid JSON": '{"name": "get_weather", "arguments": {"city": Paris}}',
    "a trailing comma": '{"name": "get_weather", "arguments": {"city": "Paris",}}',
    "not a number": '{"name": "get_weather", "arguments": {"days": NaN}}',
    "Python in a fence": f"```python\n{CALL}\n```",
    "Python's quotes": "{'name': 'get_time', 'arguments': {}}",
    "a comma after a list": f"[{CALL}],",
    "a comma without a list": f"{CALL}, {NOW}",
    "a list without commas": f"[{CALL} {NOW}]",
    "a list with a comma too many": f"[{CALL},]",
    "a list of something else": f"[{CALL}, 1]",
    "an empty list": "[]",
    "an empty fence": "```json\n```",
    "a fence that is empty before one that is not": f"```json\n```\n```json\n{CALL}\n```",
    "a fence that does not end": f"```json\n{CALL}",
    "a tag that does not end": f"<tools>{CALL}",
    "another tag's end": f"<tools>{CALL}</tool>",
    "another object": '{"city": "Paris"}',
    "nothing": "",
    "white space": " \n ",
    "half a call": CALL[:-1],
    "inline code": f"`{CALL}`",
    "a mark of nothing": "<tool",
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dialect", [HERMES, CODER, THINKING], ids=["hermes", "coder", "thinking"])
def test_an_answer_that_is_calls_as_a_whole_is_calls_wherever_it_is_cut(name, dialect):
    text, expected = CALLS[name]
    for pieces in cuts(text):
        assert outcome(pieces, dialect) == (expected, "tool_calls"), pieces


@pytest.mark.parametrize("name", TEXTS)
def test_any_other_answer_is_its_text_wherever_it_is_cut(name):
    text = TEXTS[name]
    for pieces in cuts(text):
        assert outcome(pieces) == ((Text(text),) if text else (), "stop"), pieces


def test_an_answer_that_begins_with_a_mark_is_read_as_before():
    for text in (MARKED, f"{MARKED}\n{CALL}", f" {MARKED} Done.", f"{{}}\n{MARKED}"):
        before = read(HERMES, [text])
        for pieces in cuts(text):
            assert outcome(pieces) == before


def test_a_thought_may_come_before():
    text = f"<think>\nI call it.\n</think>\n\n{CALL}"
    for pieces in cuts(text):
        assert outcome(pieces, THINKING) == ((Reasoning("I call it."), *ONE), "tool_calls")


def test_a_call_that_is_only_thought_of_is_a_thought():
    text = f"<think>\n{CALL}\n</think>\n\nNo."
    assert outcome([text], THINKING) == ((Reasoning(CALL), Text("No.")), "stop")


@pytest.mark.parametrize(
    "how", [{"finish_reason": "length"}, {"stop_reason": "</s>"}], ids=["too few tokens", "a stop string"]
)
@pytest.mark.parametrize("text", [CALL, CALL[:-1], f"```json\n{CALL}\n```"])
def test_an_answer_that_was_cut_is_text_because_more_could_have_followed(text, how):
    parts, reason = outcome([text], **how)
    assert parts == (Text(text),)
    assert reason == how.get("finish_reason", "stop")


def test_text_is_released_as_soon_as_it_can_be_no_call():
    for text, held in [
        ("Hello", ""),
        ('{"city": "Par', '{"'),
        ('{"name": "Paris", "a', '{"name": "'),
        (f"{CALL}\nThis", f"{CALL}\n"),
        ("```python\nx", "```python"),
        ("<b>", "<"),
    ]:
        reader = Reader(HERMES, TOOLS, unmarked=unmarked())
        assert reader.read(Delta(held)).parts == ()
        (part,) = reader.read(Delta(text[len(held) :])).parts
        assert part == Text(text)


def test_a_second_call_is_text_where_only_one_is_allowed():
    text = f"{CALL}\n{NOW}"
    assert outcome([text], several=False) == ((Text(text),), "stop")
    assert outcome([CALL], several=False) == (ONE, "tool_calls")


def test_a_strict_tool_is_called_only_with_arguments_that_certainly_match():
    tools = (STRICT, TIME)
    assert outcome([CALL], tools=tools) == (ONE, "tool_calls")
    for arguments in ("{}", '{"city": 5}', '{"city": "Paris", "days": "many"}'):
        text = f'{{"name": "get_weather", "arguments": {arguments}}}'
        assert outcome([text], tools=tools) == ((Text(text),), "stop")
        assert outcome([text])[1] == "tool_calls"
    unknown = Tool("get_time", parameters={"type": "object", "properties": {"zone": {"pattern": "^a"}}}, strict=True)
    text = '{"name": "get_time", "arguments": {"zone": "b"}}'
    assert outcome([text], tools=(unknown,)) == ((Text(text),), "stop")


@pytest.mark.parametrize(
    "content",
    [
        f"Copy this JSON exactly: {CALL}",
        f"Pretty-print: {CALL.replace(' ', '')}",
        f"A file:\n{SPREAD}\nand more",
        json.dumps({"file": SPREAD}),
        CALL.replace("arguments", "parameters"),
        f'{{"arguments": {PARIS}, "name": "get_weather"}}',
    ],
)
def test_a_call_that_a_user_or_a_tool_wrote_and_the_model_repeats_is_text(content):
    for text in (CALL, f"```json\n{SPREAD}\n```", f"{NOW}\n{CALL}"):
        assert outcome([text], contents=["Hello", content]) == ((Text(text),), "stop")
    assert outcome([NOW], contents=[content])[1] == "tool_calls"


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_repeated_call_is_found_in_any_file_that_a_tool_returns(value):
    call = {"name": "get_time", "arguments": {"value": value}}
    answer = json.dumps(call)
    for file in (json.dumps(call, indent=3), json.dumps(call, ensure_ascii=False), json.dumps({"a": json.dumps(call)})):
        assert outcome([answer], contents=[file]) == ((Text(answer),), "stop")
        assert outcome([json.dumps(call, ensure_ascii=False)], contents=[file])[1] == "stop"


PIECES = st.sampled_from(
    [
        *(CALL, NOW, SPREAD, MARKED, "```", "```json\n", "\n", " ", "<tools>", "</tools>", "[", "]", ",", "{", "}"),
        *('"', "a", '{"name": "get_time", ', '"arguments": ', "<tool_call>", "</tool_call>", "`", "<", " " * 600),
    ]
)


@given(st.lists(PIECES, max_size=8), st.data())
@pytest.mark.parametrize("dialect", [HERMES, CODER, THINKING], ids=["hermes", "coder", "thinking"])
def test_any_text_gives_the_same_parts_wherever_it_is_cut(dialect, words, data):
    text = "".join(words)
    whole = outcome([text], dialect)
    assert outcome(list(text), dialect) == whole
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    assert outcome([text[a:b] for a, b in itertools.pairwise([0, *places, len(text)])], dialect) == whole


@given(st.lists(PIECES, max_size=8))
def test_an_answer_is_either_calls_or_what_the_marks_alone_make_of_it(words):
    text = "".join(words)
    found = outcome([text])
    assert found == read(HERMES, [text]) or not any(isinstance(part, Text) for part in found[0])


WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.strip() and not set(text) & set("`<[]{},")
)


@given(st.sampled_from(sorted(CALLS)), WORDS, st.booleans())
def test_words_beside_a_call_make_the_answer_text(name, words, is_before):
    text = CALLS[name][0]
    text = f"{words}\n{text}" if is_before else f"{text}\n{words}"
    if "<tool_call>" not in text:
        assert outcome([text]) == ((Text(text),), "stop")
