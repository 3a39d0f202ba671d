"""Whatever a schema's grammar accepts parses to a value that the schema lets pass, or the lowering said otherwise."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from appliance.errors import RequestError
from tests.engine.schemas import HAND_WRITTEN
from tests.json_schema.matching import accepts, lowered
from tests.json_schema.suite import cases
from tests.json_schema.texts import compact, is_writable, spellings
from tests.refusals import refused

CASES = cases()


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
