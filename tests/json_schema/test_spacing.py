"""White space in answers that follow a schema: what models like to write, and no more for a model to fill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.json_schema.matching import accepts, lowered

SCHEMA = lowered(
    {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}},
        },
        "required": ["a", "b"],
    }
).schema
VALUE: dict[str, Any] = {"a": 1, "b": [{"c": "x"}, {}]}
# The places of `VALUE`'s tokens.
TOKENS = ["{", '"a"', ":", "1", ",", '"b"', ":", "[", "{", "}", "]", "}"]


@pytest.mark.parametrize("indent", [None, 0, 1, 2, 4, "\t"])
def test_what_programs_print_is_accepted(indent: int | str | None):
    assert accepts(SCHEMA, json.dumps(VALUE, indent=indent))


@pytest.mark.parametrize("text", ['{"a":1,"b":[]}', '{ "a": 1, "b": [ { "c": "x" } ] }', '{"a" : 1 , "b" : [ ] }'])
def test_other_usual_spacing_is_accepted(text: str):
    assert accepts(SCHEMA, text)


@pytest.mark.parametrize(("indent", "levels"), [(2, 10), (4, 5)])
def test_deep_values_can_be_indented(indent: int, levels: int):
    inner: Any = {"type": "integer"}
    value: Any = 1
    for _ in range(levels):
        inner, value = {"type": "array", "items": inner}, [value]
    assert accepts(lowered(inner).schema, json.dumps(value, indent=indent))


def _spaced(blank: str) -> Iterator[str]:
    """The value with this white space in each place."""
    for place in range(1, len(TOKENS)):
        yield "".join([*TOKENS[:place], blank, *TOKENS[place:]])


@pytest.mark.parametrize("blank", [" ", "\n", "\n" + 20 * " ", "\n\t"])
def test_a_space_or_an_indented_line_is_accepted_in_each_place(blank: str):
    assert [text for text in _spaced(blank) if not accepts(SCHEMA, text)] == []


@pytest.mark.parametrize("blank", ["  ", "\t", "\n\n", "\n \n", " \n", "\n" + 21 * " ", "\r"])
def test_a_run_of_blanks_is_not_accepted_in_any_place(blank: str):
    assert [text for text in _spaced(blank) if accepts(SCHEMA, text)] == []


@pytest.mark.parametrize("blank", [" ", "\n"])
def test_nothing_stands_around_an_answer(blank: str):
    text = json.dumps(VALUE)
    assert not accepts(SCHEMA, blank + text)
    assert not accepts(SCHEMA, text + blank)
