"""What the grammar generates for the types of pydantic and zod is what these libraries accept."""

from __future__ import annotations

import json
import re

import jsonschema
import pydantic
import pytest

from appliance.json_schema import closed
from appliance.json_schema.formats import FORMATS, PARTLY
from appliance.json_schema.known_patterns import known
from tests.json_schema.libraries import PYDANTIC, adapter, pydantic_schemas, zod_schemas
from tests.json_schema.matching import accepts, drawn, lowered

ANSWERS_EACH = 12
# pydantic's rule is narrower than its schema: ranges of durations, keys that are numbers, texts that contain JSON.
NARROWER = {"NaiveDatetime", "Json", "ByteSize", "Decimal", "dict[int, str]", "timedelta"}
# A random answer seldom has the end that it needs.
SELDOM_END = {'z.string().startsWith("a").endsWith("z")'}
# Python's `re` lacks these classes.
PROPERTIES = re.compile(r"\\p\{")


def answers(schema: object) -> list[str]:
    found = closed(lowered(schema, is_strict=False).schema)
    drawn_ones = [drawn(found, seed) for seed in range(ANSWERS_EACH)]
    return [text for text in drawn_ones if text is not None]


def is_valid(name: str, text: str) -> bool:
    try:
        adapter(name).validate_json(text)
    except pydantic.ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", PYDANTIC)
def test_pydantic_accepts_what_is_generated_for_its_types(name):
    schema = pydantic_schemas()[name]
    unheld = lowered(schema, is_strict=False).unheld
    texts = answers(schema)
    assert texts
    if not unheld and name not in NARROWER:
        assert [text for text in texts if not is_valid(name, text)] == []


@pytest.mark.parametrize("name", zod_schemas())
def test_a_validator_accepts_what_is_generated_for_the_types_of_zod(name):
    schema = zod_schemas()[name]
    if name == "z.never()":
        return
    texts = answers(schema)
    assert texts or name in SELDOM_END
    if not PROPERTIES.search(json.dumps(schema)) and not lowered(schema, is_strict=False).unheld:
        for text in texts:
            jsonschema.Draft202012Validator(schema).validate(json.loads(text))


@pytest.mark.parametrize("name", [*FORMATS, *PARTLY])
def test_a_value_of_each_format_can_be_generated(name):
    assert answers({"type": "string", "format": name})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("base64", ["", "aGk=", "YQ=="], ["a", "aGk", "YR=="]),
        ("base64url", ["", "YQ==", "_-_-"], ["a", "+/+/"]),
        ("cidrv4", ["10.0.0.0/8"], ["10.0.0.0", "10.0.0.0/33", "256.0.0.0/8"]),
        ("cidrv6", ["fe80::/10", "::/0", "1:2:3:4:5:6:7:8/128"], ["fe80::/129", "1::2::3/8"]),
        ("ulid", ["01ARZ3NDEKTSV4RRFFQ69G5FAV"], ["81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU"]),
        ("nanoid", ["V1StGXR8_Z5jdHi6B-myT"], ["short"]),
        ("e164", ["+4930123456"], ["4930123456", "+0123456"]),
        ("emoji", ["😀"], ["a", "1"]),
        ("uuid4", ["3fa85f64-5717-4562-b3fc-2c963f66afa6"], ["3fa85f64-5717-1562-b3fc-2c963f66afa6"]),
        ("ipv4network", ["10.0.0.0/8", "192.168.1.0/24"], ["10.0.0.1/8"]),
        ("ipvanyaddress", ["::1", "127.0.0.1"], ["1.2.3", "1::2::3"]),
        ("decimal", ["-1.50", ".5", "1."], ["1e5", "-", "."]),
        ("json-pointer", ["", "/a~1b/0"], ["a", "/~2"]),
        ("uri-reference", ["", "a/b?c#d", "../x", "?q", "#f", "/"], ["a b", "%zz", "\\"]),
    ],
)
def test_a_format_of_a_library_is_held(name, good, bad):
    schema = lowered({"type": "string", "format": name}).schema
    assert [text for text in good if not accepts(schema, json.dumps(text, ensure_ascii=False))] == []
    assert [text for text in bad if accepts(schema, json.dumps(text, ensure_ascii=False))] == []


@pytest.mark.parametrize("name", ["binary", "password", "path", "file-path", "directory-path"])
def test_a_format_that_restricts_no_text_asks_for_nothing(name):
    assert lowered({"type": "string", "format": name}).schema == {"type": "string"}


def test_a_format_beside_its_pattern_asks_for_nothing_more_unless_json_schema_defines_it():
    assert lowered({"type": "string", "format": "starts_with", "pattern": "^a"}).unheld == ()
    for name in ("iri", "jwt"):
        assert lowered({"type": "string", "format": name, "pattern": "^a"}, is_strict=False).unheld == ("#/format",)
    assert lowered({"type": "string", "format": "x"}, is_strict=False).unheld == ("#/format",)


DECIMAL = r"^(?!^[-+.]*$)[+-]?0*"
DECIMALS = {
    "plain": DECIMAL + r"\d*\.?\d*$",
    "decimal_places": DECIMAL + r"\d*\.?\d{0,2}0*$",
    "max_digits": DECIMAL + r"(?:\d{0,8}|(?=[\d.]{1,9}0*$)\d*\.\d*0*$)",
    "both": DECIMAL + r"(?:\d{0,6}|(?=[\d.]{1,9}0*$)\d{0,6}\.\d{0,2}0*$)",
    "a fraction": DECIMAL + r"(?:\d{0,0}|(?=[\d.]{1,3}0*$)\d{0,0}\.\d{0,2}0*$)",
}


@pytest.mark.parametrize("name", DECIMALS)
def test_a_number_that_is_generated_for_pydantic_s_decimal_matches_its_pattern(name):
    schema = {"type": "string", "pattern": DECIMALS[name]}
    found = lowered(schema)
    assert found.unheld == ()
    for text in answers(schema):
        value = json.loads(text)
        assert re.search(DECIMALS[name], value)
        assert re.search(r"\d", value)
    assert accepts(found.schema, '"0.25"')


def test_another_pattern_with_look_ahead_is_not_taken_for_a_known_one():
    for pattern in ("^(?=a)b", DECIMALS["plain"] + "x", DECIMALS["both"].replace("6", "600")):
        assert known(pattern) is None


@pytest.mark.parametrize(
    ("items", "good", "bad"),
    [
        ({"enum": ["a", "b"]}, ['["a", "b"]', '["b", "a"]', '["a"]', "[]"], ['["a", "a"]']),
        ({"type": "boolean"}, ["[true, false]"], ["[true, true]"]),
        ({"const": "a", "type": "string"}, ['["a"]'], ['["a", "a"]']),
        ({"$ref": "#/$defs/e"}, ['["x", "y"]'], ['["x", "x"]', '["z"]']),
    ],
)
def test_a_set_of_few_values_is_held(items, good, bad):
    schema = {"type": "array", "items": items, "uniqueItems": True, "$defs": {"e": {"enum": ["x", "y"], "title": "E"}}}
    found = lowered(schema)
    assert found.unheld == ()
    for spaced in (True, False):
        assert [accepts(found.schema, text, spaced=spaced) for text in good] == [True] * len(good)
        assert [accepts(found.schema, text, spaced=spaced) for text in bad] == [False] * len(bad)


def test_sets_that_are_too_much_to_write_down_are_checked_afterwards():
    long = {"type": "array", "items": {"enum": ["a" * 20000, "b"]}, "uniqueItems": True}
    assert lowered(long, is_strict=False).unheld == ("#/uniqueItems",)
    small = {"type": "array", "items": {"enum": list("abcde")}, "uniqueItems": True}
    many = lowered({"type": "object", "properties": {str(number): small for number in range(500)}}, is_strict=False)
    assert 400 < len(many.unheld) < 500
    assert len(json.dumps(many.schema)) < 300_000


@pytest.mark.parametrize(
    "schema",
    [
        {"items": {"enum": list("abcdef")}},
        {"items": {"enum": [1, 1.0]}},
        {"items": {"enum": ["a"], "minLength": 1}},
        {"items": {"enum": ["a", "b"]}, "minItems": 3},
        {"items": {"$ref": "#"}},
        {"items": {"enum": [["a"], "b"]}},
        {"prefixItems": [{"const": "z"}], "items": {"enum": ["a"]}},
    ],
)
def test_a_set_of_other_values_is_checked_afterwards(schema):
    found = lowered({"type": "array", "uniqueItems": True, **schema}, is_strict=False)
    assert "#/uniqueItems" in found.unheld
