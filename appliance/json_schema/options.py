"""The compiler's options for a lowered schema: white space, and the escapes in an answer's strings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_STRICTLY: Mapping[str, Any] = {"coerce_one_of": False, "lenient": False}
# One space, or one line break and its indentation, almost as in llama.cpp's grammars. json.dumps with any `indent`
# writes no other white space, down to ten levels of 2 spaces or five of 4. A small model that would like to end its
# answer and may not fills whatever is permitted: with 64 characters, it wrote dozens of empty lines before a comma.
FREELY_SPACED: Mapping[str, Any] = {
    **_STRICTLY,
    "item_separator": ",",
    "key_separator": ":",
    "whitespace_flexible": True,
    "whitespace_pattern": r"\x20|\x0A[\x20\x09]{0,20}",
}
# The spacing of the chat templates and the models' training, so that the same bytes come back in the history.
ARGUMENTS: Mapping[str, Any] = {
    **_STRICTLY,
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}
# Without the escape "u", each name and string has one spelling. Control characters without a short escape are excluded.
_ONE_SPELLING: Mapping[str, Any] = {"json_allowed_escapes": 'nrbtf\\"'}
_OF_OBJECTS = frozenset(
    {"properties", "patternProperties", "additionalProperties", "required", "minProperties", "maxProperties"}
)
_MAPS = ("properties", "patternProperties", "$defs")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONES = ("items", "additionalProperties")


def compiler_schema(lowered: Mapping[str, Any], spacing: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return the schema with the compiler's options in it; `spacing` is FREELY_SPACED or ARGUMENTS.

    The compiler compares the spelling of names. If an object may have unlisted names, an escape such as "\u0061" for
    "a" would be a second spelling of a listed name, and every parser would read both as the same name.
    """
    spelling = _ONE_SPELLING if any(map(_has_other_names, _parts(lowered))) else {}
    return {**lowered, "x-guidance": {**spacing, **spelling}}


def _has_other_names(schema: Mapping[str, Any]) -> bool:
    """Whether the schema has keywords for objects and allows unlisted names."""
    is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    return not is_closed and not _OF_OBJECTS.isdisjoint(schema)


def _parts(lowered: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and all schemas in it."""
    waiting = [lowered]
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, Mapping):
            continue
        yield schema
        for key in _MAPS:
            waiting.extend(schema.get(key, {}).values())
        for key in _LISTS:
            waiting.extend(schema.get(key, ()))
        waiting.extend(schema[key] for key in _ONES if key in schema)
