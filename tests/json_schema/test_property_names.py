"""Each name that a schema lists has one spelling, and none gets round the schema of its property."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from appliance.errors import RequestError
from tests.json_schema.matching import accepts, lowered
from tests.json_schema.texts import compact

BOTH = pytest.mark.parametrize("spaced", [True, False], ids=["format", "arguments"])
NAMES = ["a", "b", "ab", "xa", "/", 'q"', "\\", "line\n", "é", "e\u0301", "\U0001f600", "\x7f", "\x01", "", "__proto__"]
VALUES = {"integer": "1", "boolean": "true", "string": '"x"', "null": "null"}
TYPES = st.sampled_from(list(VALUES)).map(lambda kind: {"type": kind})


def escaped(name: str, upper: bool) -> str:
    """Every UTF-16 unit of the name as an escape."""
    units = name.encode("utf-16-be", "surrogatepass")
    codes = (units[at] * 256 + units[at + 1] for at in range(0, len(units), 2))
    return "".join(f"\\u{code:04X}" if upper else f"\\u{code:04x}" for code in codes)


def half_escaped(name: str) -> str:
    return json.dumps(name[:1])[1:-1] + escaped(name[1:], False)


SPELT = [
    lambda name: json.dumps(name, ensure_ascii=False)[1:-1],
    lambda name: json.dumps(name)[1:-1],
    lambda name: json.dumps(name)[1:-1].replace("/", "\\/"),
    lambda name: escaped(name, upper=False),
    lambda name: escaped(name, upper=True),
    half_escaped,
]


@st.composite
def objects(draw: Any) -> tuple[dict[str, Any], str]:
    """A schema of an object, and the text of one that may or may not match it."""
    listed = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    schema: dict[str, Any] = {"type": "object", "properties": {name: draw(TYPES) for name in listed}}
    schema["required"] = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2))
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(TYPES | st.just(False))
    if draw(st.booleans()):
        schema["patternProperties"] = {draw(st.sampled_from(["^a", "a$", "\\S", "^.$", "/"])): draw(TYPES)}
    for key, values in {
        "minProperties": st.integers(0, 3),
        "maxProperties": st.integers(1, 4),
        "propertyNames": st.sampled_from(
            [{"pattern": "^[ab]"}, {"enum": ["a", "b"]}, {"maxLength": 1}, {"minLength": 2}]
        ),
    }.items():
        if draw(st.integers(0, 3)) == 0:
            schema[key] = draw(values)
    order = [*listed, *(name for name in schema["required"] if name not in listed)]
    first = [name for name in order if name in schema["required"] or draw(st.booleans())]
    more = draw(st.lists(st.sampled_from(NAMES), max_size=3))
    entries = []
    for index, name in enumerate([*first, *more]):
        spelling = SPELT[0] if index < len(first) else draw(st.sampled_from(SPELT))
        kind = schema["properties"].get(name, {}).get("type") if index < len(first) else None
        value = VALUES[kind] if kind else draw(st.sampled_from(list(VALUES.values())))
        entries.append(f'"{spelling(name)}": {value}')
    return schema, "{" + ", ".join(entries) + "}"


OPEN = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": {"type": "boolean"},
}


@BOTH
@settings(max_examples=400, deadline=None)
@given(case=objects())
@example(case=(OPEN, '{"a": 1, "\\u0061": true}'))
@example(case=({**OPEN, "patternProperties": {"^b": {"type": "null"}}}, '{"a": 1, "\\u0062": true}'))
@example(case=({**OPEN, "properties": {"\U0001f600": {"type": "integer"}}, "required": []}, '{"\\ud83d\\ude00": true}'))
def test_no_spelling_and_no_repetition_of_a_name_gets_round_its_schema(case, spaced):
    schema, text = case
    try:
        found = lowered(schema)
        is_accepted = accepts(found.schema, text, spaced=spaced)
    except RequestError:
        assume(False)
    if is_accepted:
        for last_wins in (True, False):
            pairs = dict if last_wins else (lambda pairs: dict(reversed(pairs)))
            jsonschema.Draft202012Validator(schema).validate(json.loads(text, object_pairs_hook=pairs))


@BOTH
@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_one_spelling_beside_listed_ones(name, spaced):
    schema = {"type": "object", "properties": {name: {"type": "integer"}}, "additionalProperties": {"type": "boolean"}}
    found = lowered(schema).schema
    assert accepts(found, compact({name: 1, "other": True}, ensure_ascii=False), spaced=spaced)
    for spelling in SPELT:
        assert not accepts(found, f'{{"{spelling(name)}": true}}', spaced=spaced)


def test_control_characters_can_be_written_where_no_name_is_free():
    closed = {**OPEN, "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    assert accepts(lowered(closed).schema, '{"a": "\\u001b[0m"}')
    assert accepts(lowered({"const": "\u0000"}).schema, '"\\u0000"')
    assert accepts(lowered({"type": "object"}).schema, '{"a": "\\u001b"}')
