"""Objects with listed properties are closed where their schemas do not say otherwise, and stay satisfiable."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from appliance.errors import RequestError
from appliance.json_schema import closed
from tests.json_schema.matching import accepts, lowered
from tests.json_schema.suite import cases
from tests.json_schema.texts import compact, is_writable, spellings

CASES = cases()

A = {"type": "object", "properties": {"a": {"type": "integer"}}}
B = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}
BOTH = {"a": 1, "b": 2}
EXTRA = {"a": 1, "b": 2, "c": 3}


def generated(schema: Any) -> Any:
    """The schema that answers are generated from."""
    return closed(lowered(schema, is_strict=False).schema)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (A, [{"a": 1}, {}], [{"b": 1}, {"a": 1, "b": 1}]),
        ({"type": "object", "properties": {}}, [{}], [{"a": 1}]),
        ({"properties": A["properties"]}, [{"a": 1}, 5], [{"b": 1}]),
        ({**A, "required": ["a", "z"]}, [{"a": 1, "z": "any"}], [{"a": 1}, {"a": 1, "z": 1, "b": 1}]),
        ({**A, "patternProperties": {"^x": {"type": "integer"}}}, [{"a": 1, "x1": 2}], [{"a": 1, "b": 1}]),
        ({"type": "object", "patternProperties": {"^x": {"type": "integer"}}}, [{"x1": 2}], [{"a": 1}]),
        ({**A, "unevaluatedProperties": False}, [{"a": 1}], [{"b": 1}]),
        ({"type": "array", "items": A}, [[{"a": 1}]], [[{"b": 1}]]),
        ({"type": "object", "properties": {"x": A}}, [{"x": {"a": 1}}], [{"x": {"b": 1}}]),
        ({"type": "object", "additionalProperties": A}, [{"x": {"a": 1}}], [{"x": {"b": 1}}]),
        ({"anyOf": [A, {"type": "null"}]}, [{"a": 1}, None], [{"b": 1}]),
        ({"oneOf": [{**A, "required": ["a"]}, B]}, [{"a": 1}, {"b": 1}], [EXTRA]),
        ({"$ref": "#/$defs/A", "$defs": {"A": A}}, [{"a": 1}], [{"b": 1}]),
        ({"title": "x", "allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": A}}, [{"a": 1}], [{"b": 1}]),
        ({"allOf": [A, B]}, [BOTH, {"b": 1}], [{"a": 1}, EXTRA]),
        ({"allOf": [{"$ref": "#/$defs/A"}, B], "$defs": {"A": A}}, [BOTH], [EXTRA]),
        ({**A, "allOf": [B]}, [BOTH], [EXTRA]),
        ({**A, "$ref": "#/$defs/B", "$defs": {"B": B}}, [BOTH], [EXTRA, {"a": 1}]),
        ({**A, "anyOf": [B, {"required": ["z"]}]}, [BOTH, {"a": 1, "z": 1}], [{"b": 1, "c": 1}]),
        # A definition alone and as a part.
        (
            {
                "type": "object",
                "properties": {"x": {"$ref": "#/$defs/A"}, "y": {"allOf": [{"$ref": "#/$defs/A"}, B]}},
                "$defs": {"A": A},
            },
            [{"x": {"a": 1}, "y": BOTH}],
            [{"x": BOTH, "y": BOTH}, {"x": {"a": 1}, "y": EXTRA}],
        ),
        # A definition of itself.
        (
            {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}},
            [{"next": {"next": {}}}],
            [{"next": {"a": 1}}],
        ),
    ],
)  # fmt: skip
def test_only_listed_names_are_generated(schema, good, bad):
    found = generated(schema)
    assert [accepts(found, compact(value)) for value in good] == [True] * len(good)
    assert [accepts(found, compact(value)) for value in bad] == [False] * len(bad)


@pytest.mark.parametrize(
    ("schema", "good"),
    [
        ({"type": "object"}, {"x": 1}),
        ({}, {"x": 1}),
        (True, {"x": 1}),
        ({"type": "object", "required": ["a"]}, {"a": 1, "x": 1}),
        ({**A, "additionalProperties": True}, {"a": 1, "x": 1}),
        ({**A, "additionalProperties": {"type": "integer"}}, {"a": 1, "x": 1}),
        ({**A, "minProperties": 2}, {"x": 1}),
        ({"allOf": [A, {"type": "object", "additionalProperties": True}]}, {"a": 1, "x": 1}),
        ({"allOf": [A, {"patternProperties": {"^x": True}}]}, {"a": 1, "x": 1}),
        ({**A, "patternProperties": {"(?=x)x": {}}}, {"a": 1, "x": 1}),
        ({**A, "if": {"required": ["a"]}, "then": {"properties": {"x": {}}}}, {"a": 1, "x": 1}),
        ({**A, "dependentSchemas": {"a": {"properties": {"x": {}}}}}, {"a": 1, "x": 1}),
        ({"type": "object", "propertyNames": {"pattern": "^x"}}, {"x": 1}),
        ({"allOf": [{"$ref": "#/$defs/A"}, {"required": ["x"]}], "$defs": {"A": {"type": "object"}}}, {"x": 1}),
    ],
)
def test_an_object_with_other_names_stays_open(schema, good):
    assert accepts(generated(schema), compact(good))


def test_whatever_is_generated_matches_the_lowered_schema_too():
    """Over JSON-Schema-Test-Suite: an invalid instance that the lowered schema stops is stopped by the closed one."""
    passed, tried = [], 0
    for name, schema, instances in CASES:
        with contextlib.suppress(RequestError):
            open_schema = lowered(schema, is_strict=False).schema
            texts = [text for instance in instances for text in spellings(instance) if is_writable(text)]
            stopped = [text for text in texts if not accepts(open_schema, text)]
            tried += len(stopped)
            passed += [(name, text) for text in stopped if accepts(closed(open_schema), text)]
    assert passed == []
    assert tried > 500


LEAVES = st.sampled_from([{"type": "integer"}, True, {"type": "object"}, {"$ref": "#/$defs/r"}, A, B])
NAMES = st.sampled_from(["a", "b", "c", "d"])


def _objects(inner: Any) -> Any:
    return st.fixed_dictionaries(
        {"type": st.just("object")},
        optional={
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "additionalProperties": st.booleans(),
        },
    )


SCHEMAS = st.recursive(LEAVES, _objects, max_leaves=6)
VALUES = st.recursive(st.just(1), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=5)


@settings(max_examples=300, deadline=None)
@given(schema=SCHEMAS, root=SCHEMAS, value=VALUES)
def test_a_closed_schema_allows_only_what_the_schema_allows(schema, root, value):
    whole = {"allOf": [schema], "$defs": {"r": root}}
    try:
        open_schema = lowered(whole).schema
        text = compact(dict(sorted(value.items())) if isinstance(value, dict) else value)
        is_accepted = accepts(closed(open_schema), text)
        is_allowed = accepts(open_schema, text)
    except RequestError:
        assume(False)
    assert is_allowed or not is_accepted


def test_many_compositions_of_many_names_are_bounded():
    big = {"properties": {f"n{number}": True for number in range(500)}}
    schema = {
        "type": "object",
        "properties": {f"p{number}": {"allOf": [{"$ref": "#/$defs/big"}, A]} for number in range(900)},
        "$defs": {"big": {"allOf": [big] * 100}},
    }
    found = generated(schema)
    assert len(compact(found)) < 1_000_000
    chain = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}", "required": ["a"]} for number in range(3000)}
    assert generated({"allOf": [{"$ref": "#/$defs/d0"}, A], "$defs": {**chain, "d3000": A}})
