"""Which rules about the names in an object a grammar can enforce: their pattern and their number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ANY = "[\\u{0}-\\u{10FFFF}]"


def pattern_of_names(rule: Mapping[str, Any]) -> str:
    """A lowered schema of names as one pattern; empty if it cannot be written as a pattern."""
    if rule.keys() == {"pattern"}:
        return str(rule["pattern"])
    if rule.keys() <= {"minLength", "maxLength"}:
        return f"^{_ANY}{{{rule.get('minLength', 0)},{rule.get('maxLength', '')}}}$"
    return ""


def uncounted(schema: Mapping[str, Any], required: int, optional: int) -> dict[str, str]:
    """Return which of `minProperties` and `maxProperties` must be removed for the compiler, and why.

    The reason is empty if every possible object satisfies the keyword. The compiler guarantees that each listed name
    occurs at most once, but not that unlisted names differ from each other. It can count optional properties only up to
    one.

    Args:
        schema: a lowered schema that allows objects.
        required: number of required names.
        optional: number of other listed names.
    """
    is_closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
    least, most = schema.get("minProperties", 0), schema.get("maxProperties")
    found = {}
    if least <= required:
        found["minProperties"] = ""
    elif not is_closed and least > required + 1:
        found["minProperties"] = "names that the schema does not list may come twice"
    if most is not None and is_closed and most >= required + optional:
        found["maxProperties"] = ""
    is_counted = {"minProperties", "maxProperties"} & (schema.keys() - found.keys())
    is_of_one = is_closed and least <= required + 1 and most in {None, required + 1}
    if optional and is_counted and not is_of_one:
        found |= dict.fromkeys(is_counted, "it counts properties that may be left out")
    return found
