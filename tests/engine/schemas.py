"""JSON schemas of every kind that clients send: some written by hand, some drawn, and some that must be refused."""

from __future__ import annotations

import random

STRING = {"type": "string", "maxLength": 12}
INTEGER = {"type": "integer", "minimum": -999, "maximum": 999}


def closed(properties, required=None, **more):
    """An object of exactly these properties."""
    wanted = sorted(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": wanted, "additionalProperties": False, **more}


def array(items, most=4, **more):
    return {"type": "array", "items": items, "maxItems": most, **more}


def _nested(depth):
    schema = INTEGER
    for level in range(depth):
        schema = closed({f"level{level}": schema}) if level % 2 else array(schema, 2, minItems=1)
    return schema


HAND_WRITTEN = {
    # Types
    "string": STRING,
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "object": {"type": "object", "additionalProperties": INTEGER, "maxProperties": 3},
    "array": array(INTEGER),
    "several types": {"type": ["integer", "boolean", "null"]},
    "nullable string": {"type": ["string", "null"], "maxLength": 9},
    "empty schema": {},
    "true properties": closed({"a": True, "b": INTEGER}),
    "any object": {"type": "object"},
    "any array": {"type": "array"},
    "annotations": {"title": "T", "description": "D", "$comment": "c", "examples": [1], "default": 1, **INTEGER},
    "schema keyword": {"$schema": "https://json-schema.org/draft/2020-12/schema", **closed({"a": INTEGER})},
    "schema id": {"$id": "https://example.com/x", "type": "boolean"},
    "unknown annotation": {"type": "boolean", "x-vendor": {"any": "thing"}},
    "deprecated and readOnly": closed({"a": {"type": "boolean", "deprecated": True, "readOnly": True}}),
    # Values
    "const string": {"const": "exactly this"},
    "const number": {"const": 42},
    "const float": {"const": 1.5},
    "const null": {"const": None},
    "const object": {"const": {"a": [1, 2, {"b": None}]}},
    "const empty object": {"const": {}},
    "const with a special token's name": {"const": "a <|im_end|> b"},
    "const in another form of Unicode": {"const": "e\u0301 o\u0308"},
    "const with quotes": {"const": 'say "hi" \\ back\nline\ttab'},
    "enum strings": {"enum": ["red", "green", "blue"]},
    "enum that share beginnings": {"enum": ["a", "ab", "abc", "abcd"]},
    "enum mixed": {"enum": ["one", 2, None, True, [3], {"four": 4}]},
    "enum unicode": {"enum": ["é", "日本語", "🙂", "\u0000", "Ω"]},
    "enum with a type": {"type": "string", "enum": ["x", "y"]},
    "enum of one": {"enum": ["only"]},
    "large enum": {"enum": [f"value number {index}" for index in range(1000)]},
    "large enum of integers": {"type": "integer", "enum": list(range(0, 3000, 3))},
    # Numbers
    "minimum": {"type": "integer", "minimum": 17},
    "maximum": {"type": "integer", "maximum": -5},
    "narrow range": {"type": "integer", "minimum": 98, "maximum": 103},
    "exclusive range": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 3},
    "one number": {"type": "integer", "minimum": 7, "maximum": 7},
    "range over zero": {"type": "integer", "minimum": -12, "maximum": 123},
    "float range": {"type": "number", "minimum": 0, "maximum": 1},
    "float exclusive": {"type": "number", "exclusiveMinimum": -0.5, "exclusiveMaximum": 0.5},
    "float minimum": {"type": "number", "minimum": 1.25},
    "multiple of 5": {"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 1000},
    "multiple of 7": {"type": "integer", "multipleOf": 7},
    "multiple of a half": {"type": "number", "multipleOf": 0.5},
    "integers between fractions": {"type": "integer", "minimum": 1.5, "maximum": 3.5},
    "integers that are multiples of a fraction": {"type": "integer", "multipleOf": 2.5},
    "bounds of draft 4": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "integer",
        "minimum": 3,
        "exclusiveMinimum": True,
        "maximum": 9,
    },
    "bounds for some types only": {"type": ["integer", "string"], "minimum": 7, "maxLength": 2},
    "enum with bounds": {"enum": [1, 2, 3, 4], "minimum": 3},
    "whole floats": {"enum": [1.0, 2e3]},
    "large bounds": {"type": "integer", "minimum": -(2**53), "maximum": 2**53},
    # Strings
    "minLength": {"type": "string", "minLength": 3, "maxLength": 9},
    "exact length": {"type": "string", "minLength": 5, "maxLength": 5},
    "empty string": {"type": "string", "maxLength": 0},
    "length without a type": {"minLength": 2, "maxLength": 4, "type": "string"},
    "pattern": {"type": "string", "pattern": "^[a-z]{2,5}$"},
    "pattern of a date": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"},
    "pattern with alternatives": {"type": "string", "pattern": "^(foo|bar|ba[sz])+$"},
    "pattern with classes": {"type": "string", "pattern": "^[\\w.-]{1,8}@[\\w-]{1,8}\\.(com|org)$"},
    "pattern without anchors": {"type": "string", "pattern": "ab", "maxLength": 30},
    "pattern with unicode": {"type": "string", "pattern": "^[äöü]{1,3}$"},
    "pattern with a length": {"type": "string", "pattern": "^[ab]+$", "minLength": 2, "maxLength": 4},
    "enum with a pattern": {"type": "string", "enum": ["a", "bb", "b"], "pattern": "^b", "minLength": 2},
    "pattern with quotes": {"type": "string", "pattern": '^"[a-c]{1,3}"$'},
    "pattern with a backslash": {"type": "string", "pattern": "^\\\\[a-c]$"},
    "format date": {"type": "string", "format": "date"},
    "format time": {"type": "string", "format": "time"},
    "format date-time": {"type": "string", "format": "date-time"},
    "format duration": {"type": "string", "format": "duration"},
    "format uuid": {"type": "string", "format": "uuid"},
    "format email": {"type": "string", "format": "email"},
    "format hostname": {"type": "string", "format": "hostname"},
    "format ipv4": {"type": "string", "format": "ipv4"},
    "format ipv6": {"type": "string", "format": "ipv6"},
    "format uri": {"type": "string", "format": "uri"},
    # Arrays
    "minItems": array(INTEGER, 5, minItems=2),
    "exact number of items": array({"type": "boolean"}, 3, minItems=3),
    "empty array": {"type": "array", "maxItems": 0},
    "prefixItems": {"type": "array", "prefixItems": [STRING, INTEGER], "items": False, "minItems": 2},
    "tuple of draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": [INTEGER, {"type": "boolean"}],
        "additionalItems": False,
        "minItems": 2,
    },
    "prefixItems with more": {"type": "array", "prefixItems": [STRING], "items": INTEGER, "maxItems": 4},
    "array of objects": array(closed({"id": INTEGER, "ok": {"type": "boolean"}}), 3),
    "matrix": array(array(INTEGER, 3, minItems=3), 3, minItems=3),
    "array of enums": array({"enum": ["a", "b"]}, 5),
    # Objects
    "person": closed({"name": STRING, "age": INTEGER}),
    "optional properties": closed({"a": INTEGER, "b": STRING, "c": {"type": "null"}}, ["b"]),
    "all optional": closed({"a": INTEGER, "b": STRING}, []),
    "no properties": closed({}),
    "required but not described": {
        "type": "object",
        "required": ["x"],
        "additionalProperties": INTEGER,
        "maxProperties": 1,
    },
    "additional of a type": {
        "type": "object",
        "properties": {"a": INTEGER},
        "additionalProperties": {"type": "boolean"},
    },
    "pattern properties": {
        "type": "object",
        "patternProperties": {"^x-[a-z]{1,4}$": INTEGER},
        "additionalProperties": False,
    },
    "at least one property": closed({"a": INTEGER, "b": INTEGER}, [], minProperties=1),
    "at most one property": closed({"a": INTEGER, "b": INTEGER}, [], maxProperties=1),
    "one more than is required": {
        "type": "object",
        "properties": {"a": INTEGER},
        "required": ["a"],
        "additionalProperties": INTEGER,
        "minProperties": 2,
        "maxProperties": 4,
    },
    "exactly one property": {"type": "object", "additionalProperties": INTEGER, "minProperties": 1, "maxProperties": 1},
    "a property that a pattern constrains too": {
        "type": "object",
        "properties": {"ab": {}, "x": INTEGER},
        "patternProperties": {"^a": INTEGER},
        "required": ["ab"],
        "additionalProperties": False,
    },
    "one of two required": closed({"a": INTEGER, "b": INTEGER}, [], anyOf=[{"required": ["a"]}, {"required": ["b"]}]),
    "properties called like keywords": closed({"minProperties": INTEGER, "const": INTEGER, "enum": {"enum": [1]}}),
    "property names that need escapes": closed({'a "b"': INTEGER, "c\\d": INTEGER, "é\n": INTEGER}),
    "empty property name": closed({"": INTEGER}),
    "many properties": closed({f"property_{index}": {"type": "boolean"} for index in range(40)}),
    "many optional properties": closed({f"p{index}": {"type": "boolean"} for index in range(40)}, ["p7"]),
    "a thousand optional properties": closed({f"p{index}": {"type": "null"} for index in range(1000)}, []),
    "an object inside a thousand optional ones": closed(
        {"in": closed({f"p{index}": {"const": index} for index in range(1000)}, ["p999"])}
    ),
    "a long dictated text": {"const": "far and away " * 90},
    "nested objects": closed({"a": closed({"b": closed({"c": INTEGER})})}),
    "deep nesting": _nested(24),
    "very deep nesting": _nested(40),
    # Combinations
    "anyOf": {"anyOf": [INTEGER, {"type": "boolean"}]},
    "anyOf objects": {"anyOf": [closed({"a": INTEGER}), closed({"b": STRING})]},
    "anyOf of many": {"anyOf": [closed({f"k{index}": INTEGER}) for index in range(500)]},
    "anyOf with null": closed({"a": {"anyOf": [INTEGER, {"type": "null"}]}}),
    "anyOf with siblings": {"type": "integer", "anyOf": [{"minimum": 50}, {"maximum": -50}]},
    "oneOf that exclude each other": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
    "oneOf told apart by a const": {
        "oneOf": [closed({"kind": {"const": "a"}, "x": INTEGER}), closed({"kind": {"const": "b"}, "y": STRING})]
    },
    "allOf": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 9}]},
    "allOf objects": {
        "allOf": [
            {"type": "object", "properties": {"a": INTEGER}, "required": ["a"]},
            {"type": "object", "properties": {"b": STRING}, "required": ["b"]},
        ],
        "maxProperties": 2,
    },
    "allOf of one": {"allOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": closed({"a": INTEGER})}},
    "nested anyOf": {"anyOf": [{"anyOf": [{"const": 1}, {"const": 2}]}, {"anyOf": [{"const": "a"}]}]},
    # References
    "$ref": {"$ref": "#/$defs/x", "$defs": {"x": closed({"a": INTEGER})}},
    "definitions": {"$ref": "#/definitions/x", "definitions": {"x": {"enum": [1, 2]}}},
    "$ref twice": closed({"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}}, **{"$defs": {"x": STRING}}),
    "$ref through $ref": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "boolean"}}},
    "$ref with siblings": {"$ref": "#/$defs/x", "maximum": 5, "$defs": {"x": {"type": "integer", "minimum": 3}}},
    "$ref with escapes": {"$ref": "#/$defs/a~1b~0c", "$defs": {"a/b~c": {"const": 1}}},
    "$anchor by path": {"$ref": "#/properties/a", "properties": {"a": {"type": "boolean"}}},
    "linked list": {
        "$ref": "#/$defs/node",
        "$defs": {"node": closed({"value": INTEGER, "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}})},
    },
    "tree": {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": closed({"name": {"enum": ["a", "b"]}, "children": array({"$ref": "#/$defs/tree"}, 2)})},
    },
    "mutual recursion": {
        "$ref": "#/$defs/a",
        "$defs": {
            "a": closed({"b": {"$ref": "#/$defs/b"}}, []),
            "b": closed({"a": {"$ref": "#/$defs/a"}, "n": {"const": 1}}, []),
        },
    },
    "recursion to the root": closed({"n": INTEGER, "child": {"$ref": "#"}}, ["n"]),
    # As applications send them
    "weather tool": closed({"location": STRING, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}),
    "extraction": closed(
        {
            "title": {"type": "string", "maxLength": 20},
            "date": {"type": "string", "format": "date"},
            "amount": {"type": "number", "minimum": 0},
            "tags": array({"type": "string", "pattern": "^[a-z]{1,8}$"}, 3),
            "vendor": closed({"name": STRING, "id": {"type": ["integer", "null"]}}),
        }
    ),
    "reasoning steps": closed(
        {"steps": array(closed({"explanation": STRING, "output": STRING}), 3, minItems=1), "final": STRING}
    ),
    "pydantic": {
        "$defs": {
            "Colour": {"enum": ["red", "blue"], "title": "Colour", "type": "string"},
            "Part": {
                "properties": {
                    "name": {"title": "Name", "type": "string", "maxLength": 8},
                    "colour": {"$ref": "#/$defs/Colour"},
                    "weight": {"anyOf": [{"type": "number", "maximum": 9}, {"type": "null"}], "default": None},
                },
                "required": ["name", "colour"],
                "title": "Part",
                "type": "object",
                "additionalProperties": False,
            },
        },
        "properties": {"parts": {"items": {"$ref": "#/$defs/Part"}, "title": "Parts", "type": "array", "maxItems": 3}},
        "required": ["parts"],
        "title": "Order",
        "type": "object",
        "additionalProperties": False,
    },
}

# Each with words of the reason.
REFUSED = {
    "false": (False, "false"),
    "a number": (5, "object"),
    "a list": ([], "object"),
    "broken text": ('{"type": ', "not JSON"),
    "text that is no schema": ("[1]", "object"),
    "unknown type": ({"type": "float64"}, "float64"),
    "type of the wrong kind": ({"type": 5}, "type"),
    "not": ({"not": {"type": "string"}}, "not"),
    "if, then": ({"if": {"type": "integer"}, "then": {"minimum": 1}}, "if"),
    "uniqueItems": ({"type": "array", "uniqueItems": True}, "uniqueItems"),
    "contains": ({"type": "array", "contains": {"const": 1}}, "contains"),
    "dependentRequired": ({"type": "object", "dependentRequired": {"a": ["b"]}}, "dependentRequired"),
    "propertyNames": ({"type": "object", "propertyNames": {"maxLength": 3, "pattern": "a"}}, "propertyNames"),
    "unevaluatedProperties": ({"type": "object", "unevaluatedProperties": False}, "unevaluatedProperties"),
    "oneOf that overlap": ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
    "format that nobody knows": ({"type": "string", "format": "colour"}, "colour"),
    "look-ahead": ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
    "back-reference": ({"type": "string", "pattern": "(a)\\1"}, "escape"),
    "broken pattern": ({"type": "string", "pattern": "("}, "regex"),
    "nothing between the bounds": ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum"),
    "no length between the bounds": ({"type": "string", "minLength": 5, "maxLength": 3}, "minLength"),
    "negative length": ({"type": "string", "minLength": -1}, "minLength"),
    "multiple of nothing": ({"type": "number", "multipleOf": 0}, "multiple"),
    "required but impossible": ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "'a'"),
    "empty enum": ({"enum": []}, "empty"),
    "empty anyOf": ({"anyOf": []}, "empty"),
    "reference to elsewhere": ({"$ref": "https://example.com/schema"}, "https://example.com/schema"),
    "reference to nothing": ({"$ref": "#/$defs/x"}, "$defs/x"),
    "reference to itself": ({"$ref": "#"}, "no text"),
    "contradiction": ({"allOf": [{"type": "integer"}, {"type": "string"}]}, "nsatisfiable"),
    "half a surrogate pair": ({"const": "\ud800"}, "hex escape"),
    "a number too large": ({"type": "integer", "maximum": 10**400}, "number"),
    "too many combinations": (
        {"allOf": [{"anyOf": [{"properties": {f"k{i}": {"const": j}}} for j in (0, 1)]} for i in range(16)]},
        "too large",
    ),
    "too deep": ("[" * 100_000, "not JSON"),
    "deeper than the library goes": ('{"items":' * 500 + "{}" + "}" * 500, "deep"),
    "too long": ({"enum": ["x" * 200_000]}, "characters"),
    "properties to be counted": (
        {"type": "object", "additionalProperties": INTEGER, "minProperties": 3},
        "minProperties",
    ),
    "properties to be counted, deep down": (
        {"anyOf": [closed({"enum": {"type": "object", "required": ["a"], "minProperties": 3}})]},
        "minProperties",
    ),
    "draft 3": ({"$schema": "http://json-schema.org/draft-03/schema#", "divisibleBy": 2}, "draft 3"),
    "too many optional properties": (closed({f"p{index}": True for index in range(1001)}, []), "1001 optional"),
    "impossible together": ({"const": 5, "minimum": 6}, "minimum"),
    "a loosened schema": ({"x-guidance": {"lenient": True}, "not": {}}, "not"),
}


def drawn(count, seed=0):
    """Schemas that no one wrote: types nested in each other at random, none deeper than a few levels."""
    source = random.Random(seed)
    return {f"drawn {index}": _draw(source, 3) for index in range(count)}


def _draw(source, depth):
    leaves = (
        _draw_integer,
        _draw_number,
        _draw_string,
        _draw_enum,
        lambda _: {"type": source.choice(["boolean", "null"])},
    )
    if depth == 0 or source.random() < 0.3:
        return source.choice(leaves)(source)
    kind = source.randrange(5)
    if kind == 0:
        least = source.randrange(3)
        return array(_draw(source, depth - 1), least + source.randrange(3), minItems=least)
    if kind == 1:
        return {"anyOf": [_draw(source, depth - 1) for _ in range(source.randrange(1, 4))]}
    if kind == 2:
        return {"$ref": "#/$defs/x", "$defs": {"x": _draw(source, 0)}} if depth == 3 else _draw(source, depth - 1)
    properties = {
        source.choice("abcdefghé") + str(index): _draw(source, depth - 1) for index in range(source.randrange(4))
    }
    required = [name for name in properties if source.random() < 0.6]
    return closed(properties, required)


def _draw_integer(source):
    low = source.randint(-5000, 5000)
    schema = {"type": "integer"}
    if source.random() < 0.5:
        schema[source.choice(["minimum", "exclusiveMinimum"])] = low
    if source.random() < 0.5:
        schema[source.choice(["maximum", "exclusiveMaximum"])] = low + source.randint(2, 3000)
    return schema


def _draw_number(source):
    low = source.randint(-50, 50) / 4
    return {"type": "number", "minimum": low, "maximum": low + source.randint(1, 40) / 8}


def _draw_string(source):
    least = source.randrange(4)
    choices = (
        {"type": "string", "minLength": least, "maxLength": least + source.randrange(8)},
        {"type": "string", "pattern": source.choice(["^[a-f]{1,4}$", "^(x|yy)+z$", "^[^a-z]{2}$", "^\\d+(\\.\\d+)?$"])},
        {"type": "string", "format": source.choice(["date", "uuid", "ipv4", "email"])},
    )
    return source.choice(choices)


def _draw_enum(source):
    return {"enum": source.sample(["a", "b c", "é", 1, -2, 2.5, None, True, [], {"k": 1}], source.randint(1, 5))}
