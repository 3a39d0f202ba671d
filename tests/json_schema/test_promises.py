"""Whatever a schema's grammar accepts parses to a value that the schema lets pass, or the lowering said otherwise."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import referencing
import referencing.exceptions
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from appliance.errors import RequestError
from appliance.json_schema import is_broken
from tests.engine.schemas import HAND_WRITTEN
from tests.json_schema.matching import accepts, lowered
from tests.json_schema.suite import cases
from tests.refusals import refused

CASES = cases()
BOTH = pytest.mark.parametrize("spaced", [True, False], ids=["format", "arguments"])


def compact(value: Any, **how: Any) -> str:
    return json.dumps(value, separators=(", ", ": "), **how)


def with_escapes(value: Any) -> str:
    """The value, each letter of its names written as an escape."""
    if isinstance(value, list):
        return f"[{', '.join(map(with_escapes, value))}]"
    if not isinstance(value, dict):
        return compact(value)
    names = {name: "".join(f"\\u{ord(letter) & 0xFFFF:04x}" for letter in name) for name in value}
    return "{" + ", ".join(f'"{names[name]}": {with_escapes(inner)}' for name, inner in value.items()) + "}"


def spellings(value: Any) -> Iterator[str]:
    """Texts of a value."""
    yield from {compact(value), compact(value, ensure_ascii=False), with_escapes(value)}
    if isinstance(value, dict):
        yield compact({name: value[name] for name in sorted(value)})


def is_writable(text: str) -> bool:
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in text)


@pytest.mark.parametrize("is_strict", [True, False], ids=["strict", "lenient"])
def test_an_invalid_instance_passes_only_where_a_keyword_was_named_as_not_held(is_strict):
    """Over JSON-Schema-Test-Suite. A strict schema names none: there every invalid instance is stopped or refused."""
    tried, passed = 0, []
    for name, schema, instances in CASES:
        try:
            found = lowered(schema, is_strict=is_strict)
            texts = [text for instance in instances for text in spellings(instance) if is_writable(text)]
            through = [text for text in texts if accepts(found.schema, text)]
        except RequestError:
            continue
        tried += len(texts)
        assert not (is_strict and found.unheld)
        passed += [(name, text) for text in through if not found.unheld]
    assert passed == []
    assert tried > 1000


def test_a_lowered_schema_is_taken_again_and_has_nothing_to_name():
    schemas = [schema for _, schema, _ in CASES] + list(HAND_WRITTEN.values())
    for schema in schemas:
        try:
            once = lowered(schema, is_strict=False)
        except RequestError:
            continue
        twice = lowered(once.schema)
        assert twice.schema == lowered(twice.schema).schema


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


@functools.cache
def of_format(name: str) -> dict[str, Any]:
    return lowered({"type": "string", "format": name}).schema


@pytest.mark.parametrize(
    ("name", "text", "is_valid"),
    [
        ("date", "2020-02-29", True),
        ("date", "2000-02-29", True),
        ("date", "2021-02-29", False),
        ("date", "1900-02-29", False),
        ("date", "2021-04-31", False),
        ("date", "0000-01-01", False),
        ("date", "9999-12-31", True),
        ("date-time", "2024-02-29T23:59:59.25+05:30", True),
        ("date-time", "2023-02-29T00:00:00Z", False),
        ("time", "23:59:59Z", True),
        ("time", "22:59:60Z", False),
        ("time", "24:00:00Z", False),
        ("hostname", "a-b.example.com", True),
        ("hostname", "a." * 126 + "a", True),
        ("hostname", "a." * 127 + "a", False),
        ("hostname", "a" * 63, True),
        ("hostname", "a" * 64, False),
        ("hostname", "xn--x", False),
        ("hostname", "a-", False),
    ],
)
def test_a_format_is_held_exactly(name, text, is_valid):
    assert accepts(of_format(name), json.dumps(text)) is is_valid


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "minimum": 2**53 + 1}, [2**53 + 2], [2**53]),
        ({"type": "integer", "maximum": -(2**53) - 1}, [-(2**53) - 2], [-(2**53)]),
        ({"type": "array", "minItems": 2.0}, [[1, 1]], [[1]]),
        ({"type": "array", "maxItems": 1, "uniqueItems": True}, [[1]], [[1, 1]]),
        ({"prefixItems": [{"type": "integer"}], "additionalItems": {}}, [[1, "a"]], [["a"]]),
        ({"$ref": "#/default", "default": {"type": "integer"}}, [1], ["a"]),
        ({"$ref": "#/x-parts/a", "x-parts": {"a": {"type": "integer"}}}, [1], ["a"]),
        ({"$ref": "#a", "$defs": {"x": {"$anchor": "a", "type": "integer"}}}, [1], ["a"]),
        ({"$id": "http://a/b", "$ref": "c", "$defs": {"x": {"$id": "c", "type": "integer"}}}, [1], ["a"]),
        ({"type": "object", "propertyNames": {"type": "string"}}, [{"a": 1}], [1]),
        ({"type": "object", "propertyNames": {"enum": ["a"]}, "required": ["a"]}, [{"a": 1}], [{"a": 1, "b": 1}, {}]),
        ({"type": "object", "propertyNames": {"pattern": "^a"}}, [{"ab": 1}, {}], [{"b": 1}]),
        ({"type": "object", "propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
        ({"type": "object", "propertyNames": False}, [{}], [{"a": 1}]),
        (
            {
                "oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
                "$defs": {
                    "a": {"type": "object", "properties": {"k": {"const": "a"}}, "required": ["k"]},
                    "b": {"type": "object", "properties": {"k": {"const": "b"}}, "required": ["k"]},
                },
            },
            [{"k": "a"}, {"k": "b"}],
            [{"k": "c"}, {}],
        ),
    ],
)
def test_what_can_be_held_is_held_although_it_is_strict(schema, good, bad):
    found = lowered(schema)
    assert found.unheld == ()
    assert [accepts(found.schema, compact(value)) for value in good] == [True] * len(good)
    assert [accepts(found.schema, compact(value)) for value in bad] == [False] * len(bad)


@pytest.mark.parametrize(
    ("schema", "place", "good", "bad"),
    [
        ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, "#/uniqueItems", [1, 1], ["a"]),
        ({"type": "string", "format": "jwt", "maxLength": 5}, "#/format", "a.b.c", "a.b"),
        ({"type": "string", "pattern": "(?=a)b", "maxLength": 1}, "#/pattern", "a", "aa"),
        ({"type": "integer", "not": {"const": 1}}, "#/not", 1, "a"),
        ({"type": "integer", "const": 2**53 + 1}, "#/const", 1, "a"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "#/oneOf", 1, "a"),
        (
            {"type": "object", "properties": {"a/b": {"type": "array", "contains": {}}}, "additionalProperties": False},
            "#/properties/a~1b/contains",
            {"a/b": []},
            {"b": 1},
        ),
        (
            {"$ref": "#/$defs/x", "$defs": {"x": {"uniqueItems": True, "type": "array"}}},
            "#/$defs/x/uniqueItems",
            [1],
            1,
        ),
    ],
)
def test_a_keyword_that_cannot_be_held_is_named_or_refused_and_the_rest_is_held(schema, place, good, bad):
    found = lowered(schema, is_strict=False)
    assert found.unheld == (place,)
    assert accepts(found.schema, compact(good))
    assert not accepts(found.schema, compact(bad))
    with refused(RequestError, "schema") as caught:
        lowered(schema)
    assert place in caught.value.message
    assert caught.value.param == "p"


def nested(depth: int) -> Any:
    return {"items": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    "schema",
    [
        nested(200),
        {"anyOf": [{}] * 30_000},
        {"anyOf": [{"pattern": "a" * 1000 + str(number)} for number in range(100)]},
        {"$ref": "http://example.com/x"},
        {"$ref": "http://[/"},
        {"$ref": 5},
        {"type": ["string", {}]},
        {"type": {}},
        {"required": 5},
        {"required": [[]]},
        {"enum": {}},
        {"format": []},
        {"pattern": 5},
        {"properties": []},
        {"patternProperties": 5, "additionalProperties": False},
        {"oneOf": {}},
        {"minItems": 1e400},
        {"minimum": "1"},
        {"minimum": 10**400},
        {"items": 5},
        False,
        5,
    ],
)
def test_a_schema_that_is_broken_or_too_large_is_refused_in_one_line(schema):
    with pytest.raises(RequestError) as caught:
        lowered(schema, is_strict=False)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


def test_a_finished_value_is_never_called_broken_where_a_validator_takes_it():
    """Over JSON-Schema-Test-Suite's instances, each tried beside the schemas of its neighbours too."""
    instances = [instance for _, _, each in CASES for instance in each]
    found = 0
    for at, (_, schema, own) in enumerate(CASES):
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        validator = kind(schema, registry=referencing.Registry())  # which fetches nothing
        for value in [*own, *instances[at : at + 5]]:
            if is_broken(schema, value):
                found += 1
                try:
                    assert not validator.is_valid(value)
                except referencing.exceptions.Unresolvable:
                    continue
    assert found > 500


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}},
        {"$ref": "#"},
        {"pattern": "^(a+)+$"},
        {"enum": 5},
        {"minimum": "a"},
        {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 9}}, "$ref": "#/$defs/a"},
        {"enum": list(range(2, 10_000))},
        {"type": ["boolean"] * 100_000},
    ],
)
def test_a_schema_that_is_too_much_to_look_at_or_means_nothing_breaks_nothing(schema):
    assert not is_broken(schema, "a" * 40 + "b")
    assert not is_broken(schema, 1)


@pytest.mark.parametrize(
    "rules",
    [{"required": ["a"] * 20_000}, {"dependentRequired": {"a": ["a"] * 20_000}}, {"type": ["object"] * 20_000}],
)
def test_long_keywords_are_too_much_to_look_at_for_each_of_many_items(rules):
    short = {keyword: rule[:5] if isinstance(rule, list) else {} for keyword, rule in rules.items()}
    assert is_broken({"items": short, "maxItems": 0}, [{"a": 1}] * 100)
    assert not is_broken({"items": rules, "maxItems": 0}, [{"a": 1}] * 100)


def test_an_enumeration_is_read_once_for_all_items():
    schema = {"items": {"enum": [f"value {number}" for number in range(1000)]}}
    assert is_broken(schema, [*["value 1"] * 500, "another"])


LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "#", "#/$defs/a", "integer", 1.5, 2**70])
)
KEYWORDS = st.sampled_from(
    [
        "type",
        "not",
        "if",
        "then",
        "$ref",
        "$defs",
        "$id",
        "items",
        "contains",
        "prefixItems",
        "properties",
        "required",
        "dependencies",
        "dependentRequired",
        "propertyNames",
        "oneOf",
        "allOf",
        "enum",
        "const",
        "minimum",
        "multipleOf",
        "uniqueItems",
        "minContains",
        "minLength",
        "maxProperties",
        "patternProperties",
        "pattern",
        "format",
        "a",
    ]
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4)
)


@settings(max_examples=500, deadline=None)
@given(schema=st.dictionaries(KEYWORDS, ANYTHING, max_size=5), value=ANYTHING)
@example(schema={"not": {"properties": 5}}, value={"a": 1})
@example(schema={"not": {"$ref": 5}}, value=1)
@example(schema={"not": {"multipleOf": 0}}, value=1)
def test_whatever_a_client_sends_as_a_schema_is_read_or_refused(schema, value):
    is_broken(schema, value)
    for is_strict in (True, False):
        found = None
        with contextlib.suppress(RequestError):
            found = lowered(schema, is_strict=is_strict)
        if found is not None:
            assert lowered(found.schema).unheld == ()
