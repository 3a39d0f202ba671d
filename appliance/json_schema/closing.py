"""Closes the objects of a lowered schema: a model must not invent names where the schema's author listed the names.

JSON Schema allows further names where `additionalProperties` is absent. Authors who list the properties of an object
seldom expect others, and models that may write them do. The closed schema allows only values that the schema allows.

An object without listed properties stays open. An object whose schema mentions further names stays open too: by
`additionalProperties`, or by keywords that the lowering could not keep and marked with `additionalProperties: true`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from appliance.json_schema.kinds import kinds_of

# If compositions have more schemas and names together, the remaining ones stay open.
MAX_NAMES = 2000
_MAPS = ("properties", "patternProperties")
_ONES = ("items", "additionalProperties")
_BRANCHES = ("allOf", "anyOf")
# Counts are enforced only beside the names with which the lowering combined them.
_OF_OBJECTS = frozenset({*_MAPS, "additionalProperties", "required", "minProperties", "maxProperties"})
_STAY_OPEN = ("additionalProperties", "minProperties", "maxProperties")
_DEFINITION = "#/$defs/"
# A definition that only adds rules to an object, whose other rules are elsewhere.
_PART = "+"


def closed(lowered: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the closed schema of a lowered schema."""
    return _Closing(lowered.get("$defs", {})).run(lowered)


class _Closing:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._waiting: list[str] = []
        self._done: dict[str, Any] = {}
        self._left = MAX_NAMES

    def run(self, lowered: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `closed`."""
        whole = self._whole({key: value for key, value in lowered.items() if key != "$defs"})
        while self._waiting:
            name = self._waiting.pop()
            if name not in self._done:
                node = self._definitions[name.removesuffix(_PART)]
                self._done[name] = self._part(node) if name.endswith(_PART) else self._whole(node)
        return {**whole, "$defs": self._done} if self._done else whole

    def _whole(self, node: Any) -> Any:
        """Close a schema that alone determines an object."""
        if not isinstance(node, Mapping):
            return node
        compositions = [key for key in (*_BRANCHES, "$ref") if key in node]
        if not compositions:
            out = self._inside(node)
            if not _can_close([node]):
                return out
            return {**out, "properties": {**_names([node]), **out.get("properties", {})}, "additionalProperties": False}
        (first, *more) = compositions
        if not more and _OF_OBJECTS.isdisjoint(node) and (first != "allOf" or len(node["allOf"]) == 1):
            return self._composed(self._inside(node), node, self._whole, "")
        out = self._part(node)
        parts = self._parts(node)
        if self._left < 0 or not _can_close(parts):
            return out
        return {**out, "allOf": [*out.get("allOf", ()), {"properties": _names(parts), "additionalProperties": False}]}

    def _part(self, node: Any) -> Any:
        """Close only the values in an object's schema, because other schemas add names to the object."""
        return self._composed(self._inside(node), node, self._part, _PART) if isinstance(node, Mapping) else node

    def _inside(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Close the schemas of the values inside."""
        out = dict(node)
        for key in _MAPS:
            if key in node:
                out[key] = {name: self._whole(inner) for name, inner in node[key].items()}
        for key in _ONES:
            if key in node:
                out[key] = self._whole(node[key])
        if "prefixItems" in node:
            out["prefixItems"] = [self._whole(inner) for inner in node["prefixItems"]]
        return out

    def _composed(
        self, out: dict[str, Any], node: Mapping[str, Any], close: Callable[[Any], Any], suffix: str
    ) -> dict[str, Any]:
        for key in _BRANCHES:
            if key in node:
                out[key] = [close(branch) for branch in node[key]]
        if "$ref" in node:
            out["$ref"] = node["$ref"] + suffix
            self._waiting.append(out["$ref"].removeprefix(_DEFINITION))
        return out

    def _parts(self, whole: Any) -> list[Mapping[str, Any]]:
        """All schemas that can add a rule to the same object; incomplete if the limit of the work is reached."""
        waiting, seen, parts = [whole], set(), []
        while waiting and self._left >= 0:
            node = waiting.pop()
            if not isinstance(node, Mapping):
                continue
            parts.append(node)
            self._left -= 1 + len(node.get("properties", ())) + len(node.get("required", ()))
            name = node.get("$ref", "").removeprefix(_DEFINITION)
            if name and name not in seen:
                seen.add(name)
                waiting.append(self._definitions.get(name))
            waiting += [branch for key in reversed(_BRANCHES) for branch in reversed(node.get(key, ()))]
        return parts


def _can_close(parts: Sequence[Mapping[str, Any]]) -> bool:
    objects = [part for part in parts if "object" in kinds_of(part)]
    # The names of patterns could be closed only in the schema that has the patterns.
    is_open = any(key in part for part in objects for key in _STAY_OPEN)
    has_patterns = any("patternProperties" in part for part in objects)
    lists_names = has_patterns or any("properties" in part for part in objects)
    return lists_names and not is_open and not (has_patterns and len(parts) > 1)


def _names(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The names in these schemas, each with the schema that allows everything."""
    names: dict[str, Any] = {}
    for part in parts:
        names |= {**dict.fromkeys(part.get("properties", ()), True), **dict.fromkeys(part.get("required", ()), True)}
    return names
