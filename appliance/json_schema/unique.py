"""Lists of different items, written down: possible if the items have few values, such as a set of an enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Five values have 326 lists.
MAX_VALUES = 5
_MAX_REFERENCES = 4
_NO_RULES = frozenset({"title", "description", "default", "examples", "$comment", "deprecated"})


def unique_lists(node: Mapping[str, Any], target: Callable[[str], Any]) -> Sequence[Sequence[Any]]:
    """Return all lists of different items that an array's schema allows; empty if there are too many.

    Args:
        node: the array's schema.
        target: returns the schema to which a reference leads.
    """
    values = _values(node.get("items"), target)
    least, most = node.get("minItems", 0), node.get("maxItems", MAX_VALUES)
    if values is None or "prefixItems" in node or not isinstance(least, int) or not isinstance(most, int):
        return ()
    lengths = range(least, min(most, len(values)) + 1)
    return [list(each) for length in lengths for each in itertools.permutations(values, length)]


def _values(items: Any, target: Callable[[str], Any]) -> Sequence[Any] | None:
    """The different values of the items; None if there are too many, or if other keywords restrict them."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(items, Mapping) or "$ref" not in items or not items.keys() - _NO_RULES <= {"$ref"}:
            break
        items = target(items["$ref"]) if isinstance(items["$ref"], str) else None
    if not isinstance(items, Mapping):
        return None
    rules = items.keys() - _NO_RULES
    if rules == {"type"} and items["type"] == "boolean":
        return (False, True)
    listed = [items["const"]] if "const" in items else items.get("enum")
    if rules - {"type"} not in ({"const"}, {"enum"}) or not isinstance(listed, list) or len(listed) > MAX_VALUES:
        return None
    if items.get("type", "string") != "string" or not all(isinstance(value, str) for value in listed):
        return None
    return list(dict.fromkeys(listed))
