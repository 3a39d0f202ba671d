"""What the grammars of answers allow, judged by the engine's own matcher with the real model's tokens."""

from __future__ import annotations

import functools

import pytest

from appliance.engine.grammar import Grammars
from appliance.engine.tokenizer import Tokenizer
from appliance.gateway.chat.grammar import Grammar
from appliance.gateway.chat.request import ChatRequest, Tool
from appliance.gateway.chat.structure import Bound
from appliance.inference.structured_output import StructuredOutput
from appliance.layout import Layout
from tests.gateway.chat.reading import CODER, HERMES, read
from tests.real_model import artefact_of

pytestmark = pytest.mark.model
END = 151645
TOKENS = 151665
WEATHER = Tool(
    "get_weather",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["c", "f"]},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
    strict=True,
)
TIME = Tool("get_time")
TRANSFER = Tool(
    "transfer",
    parameters={
        "type": "object",
        "properties": {"amount": {"type": "integer", "maximum": 100}, "to": {"type": "string"}},
        "required": ["amount", "to"],
        "additionalProperties": True,
    },
    strict=True,
)
CLOSED = Tool("transfer", "", {key: TRANSFER.parameters[key] for key in ("type", "properties", "required")})
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(scope="module")
def tokenizer(real_box: Layout) -> Tokenizer:
    return Tokenizer.load(artefact_of(real_box) / "tokenizer.json")


@pytest.fixture(scope="module")
def allows(tokenizer: Tokenizer):
    grammars = Grammars(tokenizer, TOKENS, [END])

    def allows(grammar: str, text: str) -> bool:
        matcher = grammars.matcher(StructuredOutput.from_mapping({"grammar": grammar}))
        for token in tokenizer.encode(text, add_special_tokens=False):
            if matcher.forbidden()[token]:
                return False
            matcher.accept(token)
        return matcher.is_complete or not matcher.forbidden()[END]

    return allows


def call(arguments: str, name: str = "get_weather") -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def coder_call(**values: object) -> str:
    inside = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in values.items())
    return f"<tool_call>\n<function=get_weather>\n{inside}</function>\n</tool_call>"


def answer(form: str, how: str, *tools: Tool, thought: bool | None = None, several: bool) -> str:
    grammar = Grammar(form)
    schemas = Bound(ChatRequest([], tools), tools, is_forced=how == "calls").tools
    content = getattr(grammar, how)(tools, schemas, several=several)
    return grammar.text(thought="" if thought is None else grammar.thought(is_open=thought), answer=content)


PARIS = call('{"city": "Paris", "days": 3}')
AUTO = functools.partial(answer, "hermes", "text_or_calls", WEATHER, TIME, several=True)
FORCED = functools.partial(answer, "hermes", "calls", WEATHER, several=False)
OPEN_AUTO = functools.partial(answer, "hermes", "text_or_calls", TRANSFER, several=True)
CLOSED_FORCED = functools.partial(answer, "hermes", "calls", CLOSED, several=False)
CODER_AUTO = functools.partial(answer, "qwen3-coder", "text_or_calls", WEATHER, Tool("f", "", {"anyOf": [{}]}))


@pytest.mark.parametrize(
    ("grammar", "text", "allowed"),
    [
        (AUTO(), "", True),
        (AUTO(), "Hello <b>world</b>\n", True),
        (AUTO(), "a <tool_cal> b", True),
        (AUTO(), PARIS, True),
        (AUTO(), f"Let me see.\n{PARIS}\n{call('{}', 'get_time')}", True),
        (AUTO(), call('{"x": [1, {}]}', "get_time"), True),
        (AUTO(), "a<tool_call>b", False),
        (AUTO(), call('{"town": "Paris"}'), False),
        (AUTO(), call('{"city": "Paris", "days": "3"}'), False),
        (AUTO(), call('{"city":"Paris"}'), False),
        (AUTO(), call("{}", "rm"), False),
        (AUTO(), f"{PARIS} and then", False),
        (OPEN_AUTO(), call('{"amount": 5, "to": "Bob", "note": {"amount": 1}}', "transfer"), True),
        (OPEN_AUTO(), call('{"amount": 5, "to": "Bob", "\\u0061mount": 99999}', "transfer"), False),
        (OPEN_AUTO(), call('{"amount": 5, "to": "Bob", "amount": 99999}', "transfer"), False),
        (CLOSED_FORCED(), call('{"amount": 5, "to": "Bob"}', "transfer"), True),
        (CLOSED_FORCED(), call('{"amount": 5, "to": "Bob", "note": 1}', "transfer"), False),
        (FORCED(), PARIS, True),
        (FORCED(), f"Let me see.\n{PARIS}", False),
        (FORCED(), f"{PARIS}\n{PARIS}", False),
        (FORCED(), "", False),
        (FORCED(thought=False), f"<think>\nHm </b>\n</think>\n\n{PARIS}", True),
        (FORCED(thought=False), PARIS, False),
        (FORCED(thought=True), f"Hm\n</think>\n\n{PARIS}", True),
        (CODER_AUTO(several=True), "Well\n" + coder_call(city="Pa\nris", days=3, unit="c"), True),
        (CODER_AUTO(several=True), f"{coder_call(city='a')}\n{coder_call(city='b')}", True),
        (CODER_AUTO(several=False), f"{coder_call(city='a')}\n{coder_call(city='b')}", False),
        (CODER_AUTO(several=True), coder_call(days=3), False),
        (CODER_AUTO(several=True), coder_call(city="a", days="x"), False),
        (CODER_AUTO(several=True), coder_call(city="a", unit="k"), False),
        (CODER_AUTO(several=True), coder_call(x="anything", y="at\nall").replace("get_weather", "f"), True),
    ],
)  # fmt: skip
def test_a_grammar_allows_what_it_should_and_no_more(allows, grammar: str, text: str, allowed: bool):
    assert allows(grammar, text) is allowed


@pytest.mark.parametrize(("dialect", "text"), [(HERMES, f"A\n{PARIS}"), (CODER, coder_call(city="Paris", days=3))])
def test_what_a_grammar_allows_is_what_the_parser_reads(allows, dialect, text: str):
    assert allows(answer(dialect.tools, "text_or_calls", WEATHER, several=True), text)
    parts, reason = read(dialect, list(text), [WEATHER])
    assert reason == "tool_calls"
    assert parts[-1].text == '{"city": "Paris", "days": 3}'


def test_a_format_or_a_call(allows):
    grammar = Grammar("hermes")
    request = ChatRequest([], (WEATHER,), response_format={"json": SCHEMA})
    bound = Bound(request, [WEATHER], is_forced=False)
    rule = f"{grammar.format(bound.format)} | {grammar.calls([WEATHER], bound.tools, several=True)}"
    text = grammar.text(thought="", answer=rule)
    assert allows(text, '{"a": 1}')
    assert allows(text, '{\n  "a": 1\n}')
    assert allows(text, PARIS)
    assert not allows(text, '{"a": "b"}')
    assert not allows(text, "hello")


def test_a_thought_and_then_a_format(allows):
    grammar = Grammar("hermes")
    text = grammar.text(thought=grammar.thought(is_open=True), answer=grammar.format({"type": "object"}))
    assert allows(text, 'Let me {think}.\n</think>\n\n{"a": 1}')
    assert not allows(text, '{"a": 1}')


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("hermes", call('{"days": [3]}'), call('{ "days" : [3] }')),
        ("qwen3-coder", coder_call(days="[3]"), coder_call(days="[ 3 ]")),
    ],
)
def test_a_clients_own_guidance_does_not_loosen_its_schema(allows, form: str, good: str, bad: str):
    lax = {"x-guidance": {"whitespace_flexible": True, "lenient": True}}
    days = {"type": "array", "items": {"type": "integer"}, **lax}
    parameters = {"type": "object", "properties": {"days": days}, "required": ["days"], "additionalProperties": False}
    described = parameters if form == "qwen3-coder" else {**parameters, **lax}
    grammar = answer(form, "text_or_calls", Tool("get_weather", "", described, strict=True), several=False)
    assert allows(grammar, good)
    assert not allows(grammar, bad)


@pytest.mark.parametrize(
    "parameters",
    [
        {"description": "anything"},
        {"properties": {"a": {"type": "integer"}}},
        {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"type": "string"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"type": "integer"}}}}},
        {"type": ["object", "null"], "properties": {"a": {"type": "integer"}}},
    ],
)
def test_arguments_are_an_object_whatever_else_a_schema_allows(allows, parameters):
    grammar = answer("hermes", "calls", Tool("f", parameters=parameters), several=False)
    assert allows(grammar, call('{"a": 1}', "f"))
    for arguments in ('"a"', "1", "[1]", "null", "true"):
        assert not allows(grammar, call(arguments, "f"))
