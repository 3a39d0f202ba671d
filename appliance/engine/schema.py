"""What of JSON Schema the compiler would take without keeping it. It is refused here; the rest is for the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import RequestError

PARAM = "structured_outputs"
# Keywords whose value maps names to schemas, and those whose value is no schema at all.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_VALUES = frozenset({"const", "enum", "default", "examples"})


def check_schema(schema: Any) -> None:
    """Look at a parsed schema and all schemas in it.

    Raises:
        RequestError: it is of a draft whose keywords the compiler does not know, or counts properties in a way that
            repeated names would get round.
    """
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, Mapping):
            _check_one(part)
            for key, value in part.items():
                if key in _NAMED and isinstance(value, Mapping):
                    waiting.extend(value.values())
                elif key not in _VALUES:
                    waiting.append(value)


def _check_one(schema: Mapping[str, Any]) -> None:
    if "draft-03" in str(schema.get("$schema", "")):
        raise RequestError("schemas of draft 3 are not supported", hint="use draft 2020-12", param=PARAM)
    least, required = schema.get("minProperties"), schema.get("required")
    is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    if is_closed or isinstance(least, bool) or not isinstance(least, int):
        return
    # The compiler sees to it that required names come once, but not that others differ from each other.
    promised = 1 + (len(set(map(str, required))) if isinstance(required, list) else 0)
    if least > promised:
        raise RequestError(
            f"minProperties {least} cannot be honoured: names that the schema does not list may come twice, "
            f"so here at most {promised} can be promised",
            hint="list the properties and require them",
            param=PARAM,
        )
