"""Lowers one object of a schema: each keyword is rewritten for the compiler, dropped if it has no effect, or listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from appliance.errors import RequestError
from appliance.json_schema.formats import COMPILED, FORMATS, FREE, PARTLY, STANDARD
from appliance.json_schema.kinds import TYPES, kinds_of
from appliance.json_schema.known_patterns import known
from appliance.json_schema.names import pattern_of_names, uncounted
from appliance.json_schema.numbers import LARGEST, drawn_inwards, is_exact
from appliance.json_schema.pattern import PatternError
from appliance.json_schema.unique import unique_lists

if TYPE_CHECKING:
    from appliance.json_schema.lowering import Whole

MAX_OPTIONAL_PROPERTIES = 1000
_MAX_SHOWN = 120
# The beginning of a longer path is cut off.
_MAX_PATH = 1000
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
# Keywords that the compiler cannot enforce, with the kinds of values to which they apply.
_NEVER_HELD: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("contains", "unevaluatedItems"), frozenset({"array"})),
    **dict.fromkeys(
        ("dependencies", "dependentRequired", "dependentSchemas", "unevaluatedProperties"), frozenset({"object"})
    ),
    **dict.fromkeys(("not", "if", "$dynamicRef", "$recursiveRef", "disallow", "extends", "divisibleBy"), TYPES),
}
# Keywords of these that can mention names of properties.
_MENTION_NAMES = frozenset(
    {"then", "else", "dependencies", "dependentSchemas", "$dynamicRef", "$recursiveRef", "extends"}
)


class KeywordLowering:
    """Lowers one object of a schema. Each public method except `lowered` lowers one or several keywords."""

    def __init__(self, whole: Whole, node: Mapping[str, Any], at: str, base: str) -> None:
        self._whole = whole
        self._node = node
        self._at = at
        self._base = base
        self._check_type()
        self._kinds = kinds_of(node)
        self._out: dict[str, Any] = {}
        self._further: list[Any] = []
        # Whether a keyword that mentions further names is not part of the result.
        self._has_lost_names = not _MENTION_NAMES.isdisjoint(node)

    def lowered(self) -> dict[str, Any]:
        """Return the lowered object."""
        for key, value in self._node.items():
            if key in _NEVER_HELD:
                self._never_held(key, value)
            elif key in _LOWERED:
                _LOWERED[key](self, key, value)
        if "object" in self._kinds:
            self._count_properties()
            if self._has_lost_names:
                self._out.setdefault("additionalProperties", True)
        if self._further:
            self._out["allOf"] = [*self._out.get("allOf", ()), *self._further]
        return self._out

    def _check_type(self) -> None:
        types = self._node.get("type", "object")
        for each in types if isinstance(types, list) else [types]:
            if not isinstance(each, str) or each not in TYPES:
                raise self._broken("type", f"is {str(each)[:40]!r}, which is no type of JSON Schema")

    def _broken(self, key: str, problem: str) -> RequestError:
        return self._whole.refuse(f"{shortened(self._at)}/{key} {problem}")

    def _inner(self, value: Any, *path: str) -> Any:
        parts = (quote(each[:_MAX_PATH].replace("~", "~0").replace("/", "~1"), safe="$~") for each in path)
        at = "/".join([self._at, *parts])[-_MAX_PATH:]
        return self._whole.inner(value, at, self._base)

    def _cannot_hold(self, key: str, why: str = "") -> None:
        self._whole.cannot_hold(f"{self._at}/{key}", why)

    def _also(self, schema: Mapping[str, Any]) -> None:
        """Add a further schema that the same values must match."""
        own = {"type": self._node["type"]} if "type" in self._node else {}
        self._further.append({**own, **schema})

    def _never_held(self, key: str, value: Any) -> None:
        if key == "not" and value in (True, {}):
            self._further.append({"enum": []})
            return
        asks_nothing = (
            (key.startswith("dependen") and value == {})
            or (key.startswith("unevaluated") and value in (True, {}))
            or (key == "if" and self._node.keys().isdisjoint({"then", "else"}))
        )
        if self._kinds & _NEVER_HELD[key] and not asks_nothing:
            self._cannot_hold(key)

    def type(self, key: str, value: Any) -> None:
        """`type`, already checked."""
        self._out[key] = value

    def required(self, key: str, value: Any) -> None:
        """`required`."""
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self._broken(key, "must be a list of names")
        self._out[key] = value

    def values(self, key: str, value: Any) -> None:
        """`const`, `enum` and `multipleOf`."""
        if key == "enum" and not isinstance(value, list):
            raise self._broken(key, "must be a list")
        if is_exact(value):
            self._out[key] = value
        else:
            self._cannot_hold(key, "a number in it is too large to be exact")

    def properties(self, key: str, value: Any) -> None:
        """`properties`."""
        if not isinstance(value, Mapping):
            raise self._broken(key, "must be an object")
        self._out[key] = {name: self._inner(each, key, name) for name, each in value.items()}

    def pattern_properties(self, key: str, value: Any) -> None:
        """`patternProperties`."""
        if not isinstance(value, Mapping):
            raise self._broken(key, "must be an object")
        reason = self._reason_against(value)
        if reason:
            self._cannot_hold(key, reason)
            self._has_lost_names = True
        else:
            self._out[key] = {self._whole.pattern(each): self._inner(inner, key, each) for each, inner in value.items()}

    def additional_properties(self, key: str, value: Any) -> None:
        """`additionalProperties`."""
        lowered = self._inner(value, key)
        # The patterns determine which names are additional.
        reason = self._reason_against(self._node.get("patternProperties"))
        if reason:
            self._cannot_hold(key, reason)
            self._has_lost_names = True
        else:
            self._out[key] = lowered

    def _reason_against(self, patterns: Any) -> str:
        """Why these patterns for names cannot be enforced; empty if they can."""
        try:
            for pattern in patterns if isinstance(patterns, Mapping) else ():
                self._whole.pattern(pattern)
        except PatternError as error:
            return str(error)
        return ""

    def branches(self, key: str, value: Any) -> None:
        """`allOf` and `anyOf`."""
        self._out[key] = self._branches(key, value)

    def _branches(self, key: str, value: Any) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise self._broken(key, "must be a list that is not empty")
        return [self._inner(each, key, str(index)) for index, each in enumerate(value)]

    def one_of(self, key: str, value: Any) -> None:
        """`oneOf`, as `anyOf`: both are equivalent if the branches exclude each other."""
        branches = self._branches(key, value)
        if not self._whole.are_apart(branches, self._kinds):
            self._cannot_hold(key, "nothing shows that its branches exclude each other")
        if "anyOf" in self._node:
            self._also({"anyOf": branches})
        else:
            self._out["anyOf"] = branches

    def items(self, key: str, value: Any) -> None:
        """`items`. Its list form, before draft 2020-12, becomes `prefixItems` and `items`."""
        if isinstance(value, list):
            if value:
                self._out["prefixItems"] = self._branches(key, value)
            if "additionalItems" in self._node:
                self._out["items"] = self._inner(self._node["additionalItems"], "additionalItems")
        else:
            self._out[key] = self._inner(value, key)

    def prefix_items(self, key: str, value: Any) -> None:
        """`prefixItems`."""
        if value != [] and not isinstance(self._node.get("items"), list):
            self._out[key] = self._branches(key, value)

    def reference(self, key: str, value: Any) -> None:
        """`$ref`."""
        self._out[key] = self._whole.reference(value, f"{self._at}/{key}", self._base)

    def count(self, key: str, value: Any) -> None:
        """A count, such as `minLength`; it may be written as 2.0."""
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or value < 0:
            raise self._broken(key, "must be a whole number, not below 0")
        self._out[key] = int(value)

    def bound(self, key: str, value: Any) -> None:
        """A bound of a number, rounded inwards to a number that the compiler represents exactly."""
        up = key.endswith("inimum")
        is_open = self._node.get("exclusiveMinimum" if up else "exclusiveMaximum") is True
        if isinstance(value, bool):
            return  # the boolean form of draft 4, which modifies `minimum` or `maximum`
        if not isinstance(value, int | float):
            raise self._broken(key, "must be a number")
        if abs(value) > LARGEST:
            raise self._broken(key, "is too large a number")
        name = f"exclusive{key[0].upper()}{key[1:]}" if is_open and not key.startswith("ex") else key
        self._out[name] = drawn_inwards(value, up=up)

    def pattern(self, key: str, value: Any) -> None:
        """`pattern`."""
        if "string" not in self._kinds:
            return
        if not isinstance(value, str):
            raise self._broken(key, "must be a text")
        rewritten = known(value)
        if rewritten is not None:
            self._also({**rewritten, "pattern": self._whole.pattern(rewritten["pattern"])})
            return
        try:
            self._out[key] = self._whole.pattern(value)
        except PatternError as error:
            self._cannot_hold(key, str(error))

    def format(self, key: str, value: Any) -> None:
        """`format`; without a type, it applies only to strings."""
        if "string" not in self._kinds:
            return
        if not isinstance(value, str):
            raise self._broken(key, "must be a text")
        if value in COMPILED:
            self._out[key] = value
        elif value in FORMATS:
            self._also(FORMATS[value])
        elif value in FREE or (self._has_pattern() and value not in STANDARD | PARTLY.keys()):
            return
        else:
            if value in PARTLY:
                self._also(PARTLY[value])
            self._cannot_hold(key, f"{value[:40]!r} is no format that can be held")

    def _has_pattern(self) -> bool:
        """Whether the schema has a pattern, as a keyword or in `allOf`."""
        together = self._node.get("allOf", ())
        parts = together if isinstance(together, list) else ()
        return "pattern" in self._node or any(isinstance(each, Mapping) and "pattern" in each for each in parts)

    def unique_items(self, key: str, value: Any) -> None:
        """`uniqueItems`."""
        most = self._node.get("maxItems")
        if value is not True or "array" not in self._kinds or (isinstance(most, int) and most <= 1):
            return
        lists = unique_lists(self._node, lambda reference: self._whole.target_of(reference, self._base))
        if lists and self._whole.has_room_for(lists):
            self._also({"enum": lists})
        else:
            self._cannot_hold(key)

    def property_names(self, key: str, value: Any) -> None:
        """`propertyNames`, as optional properties."""
        if "object" not in self._kinds:
            return
        lowered = self._inner(value, key)
        if isinstance(lowered, dict) and "string" in kinds_of(lowered):
            rule = {name: each for name, each in lowered.items() if name != "type"}
        else:
            rule = {"enum": []} if lowered is not True else {}
        if not rule:
            return
        names = [rule["const"]] if "const" in rule else rule.get("enum")
        pattern = pattern_of_names(rule)
        if len(rule) == 1 and isinstance(names, list):
            listed = {name: True for name in names if isinstance(name, str)}
            self._also({"properties": listed, "additionalProperties": False})
        elif pattern and "patternProperties" not in self._node:
            self._also({"patternProperties": {pattern: True}, "additionalProperties": False})
        else:
            self._cannot_hold(key)

    def _count_properties(self) -> None:
        out = self._out
        required = set(out.get("required", ()))
        optional = out.get("properties", {}).keys() - required
        if len(optional) > MAX_OPTIONAL_PROPERTIES:
            raise self._whole.refuse(
                f"an object in it has {len(optional)} optional properties; the limit is {MAX_OPTIONAL_PROPERTIES}"
            )
        if out.get("minProperties", 0) > len(required | optional):
            self._has_lost_names = True
        for key, reason in uncounted(out, len(required), len(optional)).items():
            if out.pop(key, None) is not None and reason:
                self._cannot_hold(key, reason)


def shortened(at: str) -> str:
    """The path of a place in a schema, shortened for a message."""
    return at if len(at) <= _MAX_SHOWN else f"…{at[-_MAX_SHOWN:]}"


_LOWERED: Mapping[str, Callable[[KeywordLowering, str, Any], None]] = {
    **dict.fromkeys(("const", "enum", "multipleOf"), KeywordLowering.values),
    **dict.fromkeys(("allOf", "anyOf"), KeywordLowering.branches),
    **dict.fromkeys(_COUNTS, KeywordLowering.count),
    "type": KeywordLowering.type,
    "required": KeywordLowering.required,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), KeywordLowering.bound),
    "properties": KeywordLowering.properties,
    "patternProperties": KeywordLowering.pattern_properties,
    "additionalProperties": KeywordLowering.additional_properties,
    "oneOf": KeywordLowering.one_of,
    "items": KeywordLowering.items,
    "prefixItems": KeywordLowering.prefix_items,
    "$ref": KeywordLowering.reference,
    "pattern": KeywordLowering.pattern,
    "format": KeywordLowering.format,
    "uniqueItems": KeywordLowering.unique_items,
    "propertyNames": KeywordLowering.property_names,
}
