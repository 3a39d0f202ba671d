"""Checks whether a complete value certainly breaks or matches a schema. Patterns and formats count as unknown.

The work is limited. A result is True if the value matches, False if it does not, None if it is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from appliance.json_schema.kinds import kind_of
from appliance.json_schema.references import References

MAX_STEPS = 5000
MAX_DEPTH = 60
Result = bool | None


class _StepsSpentError(Exception):
    """The check needs more than MAX_STEPS steps or MAX_DEPTH levels."""


def is_broken(document: Any, value: Any) -> bool:
    """Whether it is certain that a parsed JSON value does not match a parsed schema."""
    return _result(document, value) is False


def is_kept(document: Any, value: Any) -> bool:
    """Whether it is certain that a parsed JSON value matches a parsed schema."""
    return _result(document, value) is True


def _result(document: Any, value: Any) -> Result:
    try:
        return _Look(document).at(document, value)
    except (_StepsSpentError, RecursionError):
        return None
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError):
        return None  # a keyword has a value of the wrong type, inside a keyword that was not lowered


class _Look:
    def __init__(self, document: Any) -> None:
        self._references = References(document)
        self._base = self._references.base_in(document, "")
        self.is_old = self._references.ref_hides_siblings
        self._left = MAX_STEPS
        self._depth = 0
        # By the identity of a list in the document.
        self._keys: dict[int, frozenset[str]] = {}

    def at(self, schema: Any, value: Any) -> Result:
        """Check a value against a schema."""
        self.spend(1)
        if isinstance(schema, bool):
            return schema
        if self._depth > MAX_DEPTH:
            raise _StepsSpentError
        outer, self._depth = self._base, self._depth + 1
        self._base = self._references.base_in(schema, outer)
        is_alone = self.is_old and "$ref" in schema
        found = every(self._keyword(schema, key, value) for key in (["$ref"] if is_alone else schema))
        self._base, self._depth = outer, self._depth - 1
        return found

    def spend(self, steps: int) -> None:
        """Count steps.

        Raises:
            _StepsSpentError: the limit is exceeded.
        """
        self._left -= steps
        if self._left < 0:
            raise _StepsSpentError

    def target(self, reference: str, value: Any) -> Result:
        """Check a value against the target of a reference."""
        place = self._references.find(reference, self._base)
        if place is None:
            return None
        outer, self._base = self._base, place.base
        found = self.at(place.schema, value)
        self._base = outer
        return found

    def key_of(self, value: Any) -> str:
        """A text that is the same for equal values."""
        text = json.dumps(_plain(value), sort_keys=True)
        self.spend(1 + len(text) // 16)
        return text

    def keys_of(self, listed: Sequence[Any]) -> frozenset[str]:
        """The keys of the values in a list of the document, which is read only once."""
        if id(listed) not in self._keys:
            self._keys[id(listed)] = frozenset(map(self.key_of, listed))
        return self._keys[id(listed)]

    def has(self, value: Mapping[str, Any], names: Sequence[Any]) -> bool:
        """Whether an object has all these names."""
        self.spend(len(names))
        return all(name in value for name in names)

    def _keyword(self, schema: Mapping[str, Any], key: str, value: Any) -> Result:
        self.spend(1)
        if key in _UNKNOWN:
            return None
        kind, look = _KEYWORDS.get(key, ("", None))
        return True if look is None or kind not in {"", kind_of(value)} else look(self, schema, value)


def every(results: Iterable[Result]) -> Result:
    """False if any result is False, else None if any is None, else True."""
    is_known = True
    for result in results:
        if result is False:
            return False
        is_known &= result is not None
    return True if is_known else None


def _opposite(result: Result) -> Result:
    return None if result is None else not result


def _among(results: Iterable[Result], least: int, most: float) -> Result:
    """Whether at least `least` and at most `most` results are True."""
    found = list(results)
    surely, perhaps = found.count(True), found.count(None)
    if surely > most or surely + perhaps < least:
        return False
    return True if least <= surely and surely + perhaps <= most else None


def _plain(value: Any) -> Any:
    """The value with integral floats as integers: JSON has only one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def _is_of_type(look: _Look, schema: Mapping[str, Any], value: Any) -> Result:
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    look.spend(len(types))
    is_whole = kind_of(value) == "number" and value == value // 1
    return kind_of(value) in types or ("integer" in types and is_whole)


def _items(look: _Look, schema: Mapping[str, Any], value: Any) -> Result:
    items = schema.get("items", True)
    first, rest = schema.get("prefixItems", []), items
    if isinstance(items, list):
        first, rest = items, schema.get("additionalItems", True)
    return every(look.at(first[at] if at < len(first) else rest, each) for at, each in enumerate(value))


def _properties(look: _Look, schema: Mapping[str, Any], value: Any) -> Result:
    listed, further = schema.get("properties", {}), schema.get("additionalProperties", True)
    if "patternProperties" in schema:
        return every((None, *(look.at(listed[name], each) for name, each in value.items() if name in listed)))
    return every(look.at(listed.get(name, further), each) for name, each in value.items())


def _contains(look: _Look, schema: Mapping[str, Any], value: Any) -> Result:
    found = (look.at(schema["contains"], each) for each in value)
    return _among(found, schema.get("minContains", 1), schema.get("maxContains", float("inf")))


def _condition(look: _Look, schema: Mapping[str, Any], value: Any) -> Result:
    condition = look.at(schema["if"], value)
    branches = {True: schema.get("then", True), False: schema.get("else", True)}
    if condition is None:
        found = {look.at(branch, value) for branch in branches.values()}
        return found.pop() if len(found) == 1 else None
    return look.at(branches[condition], value)


def _dependent(look: _Look, rules: Mapping[str, Any], value: Any) -> Result:
    found = (rules[name] for name in value if name in rules)
    return every(look.has(value, rule) if isinstance(rule, list) else look.at(rule, value) for rule in found)


def _old_dependencies(look: _Look, schema: Mapping[str, Any], value: Any) -> Result:
    """`dependencies`, which has no meaning in newer drafts."""
    return _dependent(look, schema["dependencies"], value) if look.is_old else None


def _are_unique(look: _Look, schema: Mapping[str, Any], value: Any) -> Result:
    return schema["uniqueItems"] is not True or len({look.key_of(each) for each in value}) == len(value)


def _is_multiple(_: _Look, schema: Mapping[str, Any], value: Any) -> Result:
    factor = schema["multipleOf"]
    return value % factor == 0 if isinstance(value, int) and isinstance(factor, int) else None


def _above(key: str) -> Callable[[_Look, Mapping[str, Any], Any], Result]:
    """`minimum`, `maximum` and their exclusive forms, including the boolean form of draft 4."""
    up, excludes = key.endswith("inimum"), key.startswith("ex")
    other = "exclusiveMinimum" if up else "exclusiveMaximum"

    def look(_: _Look, schema: Mapping[str, Any], value: Any) -> Result:
        bound = schema[key]
        if isinstance(bound, bool):
            return True
        is_open = excludes or schema.get(other) is True
        return (value > bound if up else value < bound) or (value == bound and not is_open)

    return look


# Keywords that this check cannot decide: only the grammar, or nothing, enforces them.
_UNKNOWN = frozenset(
    {"pattern", "format", "$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems"}
    | {"extends", "disallow", "divisibleBy"}
)
_KEYWORDS: Mapping[str, tuple[str, Callable[[_Look, Mapping[str, Any], Any], Result]]] = {
    "$ref": ("", lambda look, schema, value: look.target(schema["$ref"], value)),
    "type": ("", _is_of_type),
    "const": ("", lambda look, schema, value: look.key_of(value) == look.key_of(schema["const"])),
    "enum": ("", lambda look, schema, value: look.key_of(value) in look.keys_of(schema["enum"])),
    "allOf": ("", lambda look, schema, value: every(look.at(each, value) for each in schema["allOf"])),
    "anyOf": ("", lambda look, schema, value: _among((look.at(each, value) for each in schema["anyOf"]), 1, 1 << 30)),
    "oneOf": ("", lambda look, schema, value: _among((look.at(each, value) for each in schema["oneOf"]), 1, 1)),
    "not": ("", lambda look, schema, value: _opposite(look.at(schema["not"], value))),
    "if": ("", _condition),
    "items": ("array", _items),
    "prefixItems": ("array", _items),
    "contains": ("array", _contains),
    "uniqueItems": ("array", _are_unique),
    "minItems": ("array", lambda _, schema, value: len(value) >= schema["minItems"]),
    "maxItems": ("array", lambda _, schema, value: len(value) <= schema["maxItems"]),
    "properties": ("object", _properties),
    "patternProperties": ("object", _properties),
    "additionalProperties": ("object", _properties),
    "propertyNames": (
        "object",
        lambda look, schema, value: every(look.at(schema["propertyNames"], name) for name in value),
    ),
    "required": ("object", lambda look, schema, value: look.has(value, schema["required"])),
    "dependentRequired": ("object", lambda look, schema, value: _dependent(look, schema["dependentRequired"], value)),
    "dependentSchemas": ("object", lambda look, schema, value: _dependent(look, schema["dependentSchemas"], value)),
    "dependencies": ("object", _old_dependencies),
    "minProperties": ("object", lambda _, schema, value: len(value) >= schema["minProperties"]),
    "maxProperties": ("object", lambda _, schema, value: len(value) <= schema["maxProperties"]),
    "minLength": ("string", lambda _, schema, value: len(value) >= schema["minLength"]),
    "maxLength": ("string", lambda _, schema, value: len(value) <= schema["maxLength"]),
    "multipleOf": ("number", _is_multiple),
    **{key: ("number", _above(key)) for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")},
}
