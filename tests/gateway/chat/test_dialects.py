"""How models' words become parts: calls and thoughts of every family, wherever the pieces are cut."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway.chat.parts import Reasoning, Text, ToolArguments, ToolCall
from appliance.gateway.chat.reader import Reader
from appliance.gateway.triton.completion import Delta
from tests.gateway.chat.reading import CODER, HERMES, THINKING, TOOLS, cuts, read

PARIS = '{"city": "Paris"}'
CALL = f'<tool_call>\n{{"name": "get_weather", "arguments": {PARIS}}}\n</tool_call>'


def called(*pairs):
    """Parts of calls: (name, arguments) each."""
    parts = []
    for index, (name, arguments) in enumerate(pairs):
        parts += [ToolCall(index, f"call_{index}", name), ToolArguments(index, arguments)]
    return tuple(parts)


HERMES_TEXTS = {
    "no call": ("Hello <b>world</b>\n", (Text("Hello <b>world</b>\n"),)),
    "a call": (CALL, called(("get_weather", PARIS))),
    "words before": (f"Let me look.\n{CALL}", (Text("Let me look."), *called(("get_weather", PARIS)))),
    "two newlines before": (f"Look:\n\n{CALL}", (Text("Look:\n"), *called(("get_weather", PARIS)))),
    "two calls": (
        f'{CALL}\n<tool_call>\n{{"name": "get_time", "arguments": {{}}}}\n</tool_call>\n',
        called(("get_weather", PARIS), ("get_time", "{}")),
    ),
    "words after": (f"{CALL}\n\nDone", (*called(("get_weather", PARIS)), Text("\n\nDone"))),
    "marks inside of a text": (
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "</tool_call> \\"}} <tool_call>"}}\n</tool_call>',
        called(("get_weather", '{"city": "</tool_call> \\"}} <tool_call>"}')),
    ),
    "nested arguments": (
        '<tool_call>{"name":"get_weather","arguments":{"a":[{"b":{}},"]"],"c":"{"}}</tool_call>',
        called(("get_weather", '{"a":[{"b":{}},"]"],"c":"{"}')),
    ),
    "arguments first": (
        f'<tool_call>\n{{"arguments": {PARIS}, "name": "get_weather"}}\n</tool_call>',
        called(("get_weather", PARIS)),
    ),
    "no arguments": ('<tool_call>\n{"name": "get_time"}\n</tool_call>', called(("get_time", "{}"))),
    "an escaped name": (
        '<tool_call>{"name": "get\\u005ftime", "arguments": {}}</tool_call>',
        called(("get_time", "{}")),
    ),
    "a closing mark is missing": (CALL.removesuffix("\n</tool_call>"), called(("get_weather", PARIS))),
    "two braces are missing": (CALL.removesuffix("}\n</tool_call>"), called(("get_weather", PARIS))),
    "a tool not on offer": (
        'a\n<tool_call>\n{"name": "rm", "arguments": {}}\n</tool_call>',
        (Text('a\n<tool_call>\n{"name": "rm", "arguments": {}}\n</tool_call>'),),
    ),
    "no JSON": ("<tool_call>\nget_weather\n</tool_call>", (Text("<tool_call>\nget_weather\n</tool_call>"),)),
    "broken JSON": ('<tool_call>\n{"name": get}\n</tool_call>.', (Text('<tool_call>\n{"name": get}\n</tool_call>.'),)),
    "arguments that are no object": (
        '<tool_call>{"name": "get_time", "arguments": [1]}</tool_call>',
        (Text('<tool_call>{"name": "get_time", "arguments": [1]}</tool_call>'),),
    ),
    "an opening mark alone": ("so <tool_call", (Text("so <tool_call"),)),
    "an opening mark and nothing": ("so\n<tool_call>", (Text("so\n<tool_call>"),)),
    "a call after a broken one": (
        f"<tool_call>x</tool_call>\n{CALL}",
        (Text("<tool_call>x</tool_call>"), *called(("get_weather", PARIS))),
    ),
    "half a call after a whole one": (f"{CALL}\n<tool", (*called(("get_weather", PARIS)), Text("\n<tool"))),
    "arguments that break": (
        '<tool_call>{"name": "get_weather", "arguments": {"city": "a\nb"}}\n</tool_call> x',
        (*called(("get_weather", '{"city": "a\nb"}')), Text(" x")),
    ),
    "brackets that do not fit": (
        '<tool_call>{"name": "get_weather", "arguments": {"city": ]}}\n</tool_call>',
        called(("get_weather", '{"city": ]}')),
    ),
    "cut in its arguments": (
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Pa',
        called(("get_weather", '{"city": "Pa')),
    ),
    "words behind the arguments": (
        '<tool_call>{"name": "get_time", "arguments": {}, "id": 5}</tool_call>',
        (*called(("get_time", "{}")), Text(', "id": 5}')),
    ),
}
XML = (
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
    "</function>\n</tool_call>"
)


def xml(**values):
    inside = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in values.items())
    return f"<tool_call>\n<function=get_weather>\n{inside}</function>\n</tool_call>"


CODER_TEXTS = {
    "a call": (XML, called(("get_weather", '{"city": "Paris", "days": 3}'))),
    "words before and a second call": (
        f"Well,\n{XML}\n<tool_call>\n<function=get_time>\n</function>\n</tool_call>",
        (Text("Well,"), *called(("get_weather", '{"city": "Paris", "days": 3}'), ("get_time", "{}"))),
    ),
    "a text of several lines": (
        xml(city='def f():\n    return "a"\n\n<b>\\'),
        called(("get_weather", '{"city": "def f():\\n    return \\"a\\"\\n\\n<b>\\\\"}')),
    ),
    "a text that looks like a number": (xml(city="75"), called(("get_weather", '{"city": "75"}'))),
    "an empty text": (xml(city=""), called(("get_weather", '{"city": ""}'))),
    "words of templates": (xml(exact="True", notes="None"), called(("get_weather", '{"exact": true, "notes": null}'))),
    "a text where null may stand": (xml(notes="12"), called(("get_weather", '{"notes": "12"}'))),
    "an object": (xml(where='{"a": [1]}'), called(("get_weather", '{"where": {"a": [1]}}'))),
    "what is no number": (xml(days="many"), called(("get_weather", '{"days": "many"}'))),
    "a parameter that is not in the schema": (xml(other="5"), called(("get_weather", '{"other": 5}'))),
    "no newlines": (
        "<tool_call><function=get_weather><parameter=city>Rome</parameter></function></tool_call>",
        called(("get_weather", '{"city": "Rome"}')),
    ),
    "the function's end is missing": (
        XML.replace("</function>\n", ""),
        called(("get_weather", '{"city": "Paris", "days": 3}')),
    ),
    "a tool not on offer": (XML.replace("get_weather", "rm"), (Text(XML.replace("get_weather", "rm")),)),
    "no function": ("<tool_call>\n{}\n</tool_call>", (Text("<tool_call>\n{}\n</tool_call>"),)),
    "a name over two lines": ("<tool_call><function=a\nb>", (Text("<tool_call><function=a\nb>"),)),
    "cut in a text": (XML[: XML.index("is\n")], called(("get_weather", '{"city": "Par'))),
    "cut in a number": (XML[: XML.index("3") + 1], called(("get_weather", '{"city": "Paris", "days": '))),
    "cut in its name": ("a\n<tool_call>\n<function=get", (Text("a\n<tool_call>\n<function=get"),)),
}
THINKING_TEXTS = {
    "a thought and an answer": ("<think>\nHm.\n</think>\n\nYes.", (Reasoning("Hm."), Text("Yes."))),
    "an empty thought": ("<think>\n\n</think>\n\nYes.", (Text("Yes."),)),
    "no thought": ("Yes. <think>", (Text("Yes. <think>"),)),
    "a thought alone": ("<think>\nHm\n\nhm.\n", (Reasoning("Hm\n\nhm."),)),
    "marks like it inside": (
        "<think>a </thin b\n\n</think c</think>d",
        (Reasoning("a </thin b\n\n</think c"), Text("d")),
    ),
    "a call after a thought": (
        f"<think>\nWeather.\n</think>\n\n{CALL}",
        (Reasoning("Weather."), *called(("get_weather", PARIS))),
    ),
    "a call that is only thought of": (f"<think>\n{CALL}\n</think>\n\nNo.", (Reasoning(CALL), Text("No."))),
    "half an opening mark": ("\n<thin", (Text("\n<thin"),)),
}


@pytest.mark.parametrize("name", HERMES_TEXTS)
def test_every_cut_of_a_hermes_text_gives_the_same_parts(name):
    text, expected = HERMES_TEXTS[name]
    for pieces in cuts(text):
        assert read(HERMES, pieces)[0] == expected, pieces


@pytest.mark.parametrize("name", CODER_TEXTS)
def test_every_cut_of_a_coder_text_gives_the_same_parts(name):
    text, expected = CODER_TEXTS[name]
    for pieces in cuts(text):
        assert read(CODER, pieces)[0] == expected, pieces


@pytest.mark.parametrize("name", THINKING_TEXTS)
def test_every_cut_of_a_thought_gives_the_same_parts(name):
    text, expected = THINKING_TEXTS[name]
    for pieces in cuts(text):
        assert read(THINKING, pieces)[0] == expected, pieces


def test_a_thought_that_the_template_opened_needs_no_mark():
    text = "Hm.\n</think>\n\nYes."
    for pieces in cuts(text):
        assert read(THINKING, pieces, is_thinking=True)[0] == (Reasoning("Hm."), Text("Yes."))


def test_a_model_that_does_not_think_may_write_about_it():
    assert read(HERMES, ["<think>a</think>b"])[0] == (Text("<think>a</think>b"),)


def test_without_tools_marks_are_text():
    assert read(HERMES, [CALL], ()) == ((Text(CALL),), "stop")


def test_the_reason_of_an_answer_with_calls_says_so():
    assert read(HERMES, [CALL])[1] == "tool_calls"
    assert read(HERMES, ["<tool_call>x</tool_call>"])[1] == "stop"


def test_arguments_are_streamed_while_they_are_written():
    for dialect, head, text in [
        (HERMES, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "', "Par"),
        (CODER, "<tool_call>\n<function=get_weather>\n<parameter=city>\n", "Par"),
    ]:
        reader = Reader(dialect, TOOLS)
        reader.read(Delta(head))
        (part,) = reader.read(Delta(text)).parts
        assert part.text.endswith("Par")


WORDS = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        "<think>",
        "</think>",
        "<function=get_time>",
        "<function=get_weather>",
        "</function>",
        "<parameter=city>",
        "<parameter=days>",
        "</parameter>",
        '{"name": "get_time", "arguments": {}}',
        '{"name": "get_weather", "arguments": ',
        PARIS,
        "{",
        "}",
        '"',
        "\\",
        "\n",
        " ",
        "<",
        "é世",
        "null",
        "1e999",
        "[" * 9,
    ]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=5)), max_size=12), st.data())
@pytest.mark.parametrize("dialect", [HERMES, CODER, THINKING], ids=["hermes", "coder", "thinking"])
def test_any_text_gives_the_same_parts_wherever_it_is_cut(dialect, words, data):
    text = "".join(words)
    whole = read(dialect, [text])
    assert read(dialect, list(text)) == whole
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    ends = [0, *places, len(text)]
    assert read(dialect, [text[a:b] for a, b in itertools.pairwise(ends)]) == whole


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_nothing_of_a_plain_text_is_lost(text):
    parts, reason = read(HERMES, list(text))
    assert "".join(part.text for part in parts) == text
    assert reason == "stop"


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_arguments_of_any_value_arrive_as_they_were_written(arguments):
    source = json.dumps(arguments, ensure_ascii=False)
    text = f'<tool_call>\n{{"name": "get_weather", "arguments": {source}}}\n</tool_call>'
    assert read(HERMES, list(text)) == (called(("get_weather", source)), "tool_calls")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])).filter(lambda text: "</parameter>" not in text))
def test_a_text_parameter_of_the_coders_form_arrives_as_it_was_written(city):
    (_, arguments) = read(CODER, list(xml(city=city)))[0]
    assert json.loads(arguments.text) == {"city": city}
