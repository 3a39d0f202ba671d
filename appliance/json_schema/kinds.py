"""Determines which kinds of values a schema allows, and whether it is certain that no value matches two schemas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

KINDS = frozenset({"null", "boolean", "number", "string", "array", "object"})
TYPES = KINDS | {"integer"}
_MAX_COMPARISONS = 10_000
_MAX_DEPTH = 16
Resolve = Callable[[str], Any]


def kinds_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """The kinds that `type` allows; integers are numbers."""
    types = schema.get("type", ())
    named = {types} if isinstance(types, str) else {each for each in types if isinstance(each, str)}
    return frozenset("number" if each == "integer" else each for each in named) if "type" in schema else KINDS


class Comparison:
    """Compares the branches of one `oneOf`, with a limit on the work."""

    def __init__(self, resolve: Resolve) -> None:
        """Set the function that returns the target of a lowered reference, or None if it is not known yet."""
        self._resolve = resolve
        self._left = _MAX_COMPARISONS

    def are_apart(self, schemas: Sequence[Any], within: frozenset[str]) -> bool:
        """Whether it is certain that no value of these kinds matches two of the lowered schemas."""
        return all(
            self._apart(one, other, within) for index, one in enumerate(schemas) for other in schemas[index + 1 :]
        )

    def _apart(self, one: Any, other: Any, within: frozenset[str], depth: int = 0) -> bool:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            return False
        if one is False or other is False:
            return True
        for this, that in ((one, other), (other, one)):
            for part in self._alternatives(this):
                if all(self._apart(each, that, within, depth + 1) for each in part):
                    return True
        if not isinstance(one, Mapping) or not isinstance(other, Mapping):
            return False
        values = [_values(schema) for schema in (one, other)]
        self._left -= sum(len(each) for each in values if each is not None)
        if values[0] is not None and values[1] is not None:
            return values[0].isdisjoint(values[1])
        common = within & _kinds(one, values[0]) & _kinds(other, values[1])
        return not common or (common == {"object"} and self._objects_apart(one, other, depth))

    def _alternatives(self, schema: Any) -> list[list[Any]]:
        """Lists of schemas; a value that matches the schema matches at least one schema in each list."""
        if not isinstance(schema, Mapping):
            return []
        found = [schema["anyOf"]] if isinstance(schema.get("anyOf"), list) else []
        found += [[each] for each in schema.get("allOf", ())]
        if "$ref" in schema:
            target = self._resolve(schema["$ref"])
            found += [] if target is None else [[target]]
        return found

    def _objects_apart(self, one: Mapping[str, Any], other: Mapping[str, Any], depth: int) -> bool:
        names = [*one.get("required", ()), *other.get("required", ())]
        return any(self._apart(_property(one, name), _property(other, name), KINDS, depth + 1) for name in names)


def _property(schema: Mapping[str, Any], name: str) -> Any:
    properties = schema.get("properties", {})
    if name in properties:
        return properties[name]
    return True if "patternProperties" in schema else schema.get("additionalProperties", True)


def _values(schema: Mapping[str, Any]) -> frozenset[tuple[str, Any]] | None:
    """The values that the schema lists; None if it lists none, or one of them is a list or an object."""
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if listed is None or any(isinstance(value, list | Mapping) for value in listed):
        return None
    return frozenset((kind_of(value), value) for value in listed)


def _kinds(schema: Mapping[str, Any], values: frozenset[tuple[str, Any]] | None) -> frozenset[str]:
    kinds = kinds_of(schema)
    return kinds if values is None else kinds & {kind for kind, _ in values}


def kind_of(value: Any) -> str:
    """The kind of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
