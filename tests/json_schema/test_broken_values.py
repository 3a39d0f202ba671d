"""A finished value is called broken where no validator takes it, and no schema makes looking at it fail."""

from __future__ import annotations

import contextlib

import jsonschema
import pytest
import referencing
import referencing.exceptions
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.errors import RequestError
from appliance.json_schema import is_broken
from tests.json_schema.matching import lowered
from tests.json_schema.suite import cases

CASES = cases()


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
