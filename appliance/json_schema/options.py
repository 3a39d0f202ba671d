"""How the compiler reads a schema that was lowered: white space, and which escapes an answer's texts may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_STRICTLY: Mapping[str, Any] = {"coerce_one_of": False, "lenient": False}
# White space is bounded because a model that has nothing to say would go on with it for ever.
FREELY_SPACED: Mapping[str, Any] = {
    **_STRICTLY,
    "item_separator": ",",
    "key_separator": ":",
    "whitespace_flexible": True,
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,64}",
}
# As templates and the models' training have it: what comes back as history is the same bytes.
ARGUMENTS: Mapping[str, Any] = {
    **_STRICTLY,
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}
# Without "u" each name and text has one spelling. Control characters that have no short escape cannot be written then.
_ONE_SPELLING: Mapping[str, Any] = {"json_allowed_escapes": 'nrbtf\\"'}
_OF_OBJECTS = frozenset(
    {"properties", "patternProperties", "additionalProperties", "required", "minProperties", "maxProperties"}
)
_MAPS = ("properties", "patternProperties", "$defs")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONES = ("items", "additionalProperties")


def compiler_schema(lowered: Mapping[str, Any], spacing: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return the schema with the compiler's options in it; `spacing` is FREELY_SPACED or ARGUMENTS.

    The compiler compares names as they are spelt. Where an object may have names beside those that its schema lists,
    an escape such as "\u0061" for "a" would be a second spelling that every parser folds into the first.
    """
    spelling = _ONE_SPELLING if any(map(_has_other_names, _parts(lowered))) else {}
    return {**lowered, "x-guidance": {**spacing, **spelling}}


def _has_other_names(schema: Mapping[str, Any]) -> bool:
    """Whether it asks something of objects and lets names pass that it does not list."""
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
