"""What of JSON Schema the compiler would take without keeping it. It is refused here; the rest is for the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import RequestError

MAX_OPTIONAL_PROPERTIES = 1000
# How the compiler is to read a schema, whatever the schema itself says of it ("x-guidance").
STRICTLY: Mapping[str, Any] = {"coerce_one_of": False, "lenient": False}
# White space is bounded because a model that has nothing to say would go on with it for ever.
FREELY_SPACED: Mapping[str, Any] = {
    **STRICTLY,
    "item_separator": ",",
    "key_separator": ":",
    "whitespace_flexible": True,
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,64}",
}
# Keywords whose value maps names to schemas, and those whose value is no schema at all.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_VALUES = frozenset({"const", "enum", "default", "examples"})


def check_schema(schema: Any, param: str) -> None:
    """Look at a parsed schema and all schemas in it; `param` is what the client calls it.

    Raises:
        RequestError: it is of a draft whose keywords the compiler does not know, counts properties in a way that
            repeated names would get round, or has so many optional ones in an object that each token would cost
            milliseconds.
    """
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, Mapping):
            _check_one(part, param)
            for key, value in part.items():
                if key in _NAMED and isinstance(value, Mapping):
                    waiting.extend(value.values())
                elif key not in _VALUES:
                    waiting.append(value)


def _check_one(schema: Mapping[str, Any], param: str) -> None:
    if "draft-03" in str(schema.get("$schema", "")):
        raise RequestError("schemas of draft 3 are not supported", hint="use draft 2020-12", param=param)
    least, required = schema.get("minProperties"), schema.get("required")
    names = set(map(str, required)) if isinstance(required, list) else set()
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and len(properties.keys() - names) > MAX_OPTIONAL_PROPERTIES:
        raise RequestError(
            f"an object of the schema has {len(properties.keys() - names)} optional properties, "
            f"at most {MAX_OPTIONAL_PROPERTIES} can be honoured",
            hint="require them, or describe fewer",
            param=param,
        )
    is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    if is_closed or isinstance(least, bool) or not isinstance(least, int):
        return
    # The compiler sees to it that required names come once, but not that others differ from each other.
    promised = 1 + len(names)
    if least > promised:
        raise RequestError(
            f"minProperties {least} cannot be honoured: names that the schema does not list may come twice, "
            f"so here at most {promised} can be promised",
            hint="list the properties and require them",
            param=param,
        )
