"""Lowers a client's schema to a schema that the compiler enforces exactly, and lists the keywords that it cannot.

An answer that matches the lowered schema can break the client's schema only at the listed keywords. Lowering a lowered
schema again does not change its meaning and lists nothing. The compiler interprets every keyword of a lowered schema
as JSON Schema does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from appliance.errors import RequestError
from appliance.json_schema.keywords import KeywordLowering, shortened
from appliance.json_schema.kinds import Comparison
from appliance.json_schema.pattern import lower_pattern
from appliance.json_schema.references import Place, References

MAX_SCHEMAS = 5000
MAX_PATTERN_CHARACTERS = 1 << 15
MAX_LISTED_CHARACTERS = 1 << 15
MAX_DEPTH = 100
_HINT = "use a type without this keyword (docs/schemas.md), or send the schema with strict: false"


@dataclass(frozen=True)
class Lowered:
    """A lowered schema.

    Attributes:
        schema: the schema, an object; see the module.
        size: number of schemas in it.
        unheld: keywords that an answer may break, as URI fragments: "#/properties/a/uniqueItems".
    """

    schema: Mapping[str, Any]
    size: int
    unheld: tuple[str, ...]


def lower(document: Any, *, is_strict: bool, param: str, whose: str, max_schemas: int = MAX_SCHEMAS) -> Lowered:
    """Lower a parsed schema.

    Args:
        document: the client's schema.
        is_strict: whether a keyword that cannot be enforced is an error; otherwise it is listed.
        param: the client's name of the parameter that contains the schema.
        whose: the owner of the schema, for errors: "the tool 'x'".
        max_schemas: maximum number of schemas in the document.

    Raises:
        RequestError: no value satisfies the schema, it is not a schema, it is too large, it is strict and cannot be
            enforced, or an object has so many optional properties that each token would take milliseconds.
    """
    whole = Whole(document, is_strict=is_strict, param=param, whose=whose, max_schemas=max_schemas)
    try:
        return whole.run()
    except RecursionError:
        raise whole.refuse("a value in it is too deep") from None


class Whole:
    """Lowers one document, and keeps the state that its parts share."""

    def __init__(self, document: Any, *, is_strict: bool, param: str, whose: str, max_schemas: int) -> None:
        self._document = document
        self._is_strict = is_strict
        self._param = param
        self._whose = whose
        self._max_schemas = max_schemas
        self._references = References(document)
        self._names: dict[tuple[int, str], str] = {}
        self._waiting: list[tuple[str, Place, str]] = []
        self._definitions: dict[str, Any] = {}
        self._unheld: list[str] = []
        self._patterns: dict[str, str] = {}
        self._pattern_characters = 0
        self._listed_characters = 0
        self._schemas = 0
        self._level = 0

    def run(self) -> Lowered:
        """See `lower`."""
        if isinstance(self._document, Mapping) and "draft-03" in str(self._document.get("$schema", "")):
            raise self._refusal("schemas of draft 3 are not supported", "use draft 2020-12")
        lowered = self.schema(self._document, "#", self._references.base_in(self._document, ""))
        while self._waiting:
            name, place, at = self._waiting.pop()
            self._definitions[name] = self.schema(place.schema, at, place.base)
        if lowered is False:
            raise self._refusal("it is false, and no value satisfies it", "send another schema")
        whole = {} if lowered is True else lowered
        if self._definitions:
            whole = {**whole, "$defs": self._definitions}
        return Lowered(whole, self._schemas, tuple(dict.fromkeys(self._unheld)))

    def schema(self, node: Any, at: str, base: str) -> Any:
        """Lower a schema and all schemas in it; `at` is its path, `base` the base URI of its references."""
        if isinstance(node, bool):
            return node
        if not isinstance(node, Mapping):
            raise self.refuse(f"{shortened(at)} is no schema, which is an object, true or false")
        self._schemas += 1
        if self._schemas > self._max_schemas:
            raise self._refusal(f"there are more than {MAX_SCHEMAS} schemas", "send smaller schemas")
        if self._level > MAX_DEPTH:
            raise self._refusal(f"it is nested more than {MAX_DEPTH} levels deep", "send a flatter schema")
        self._level += 1
        lowered = KeywordLowering(self, node, at, base).lowered()
        self._level -= 1
        return lowered

    def inner(self, node: Any, at: str, base: str) -> Any:
        """Lower a schema inside a schema with the base URI `base`."""
        return self.schema(node, at, self._references.base_in(node, base))

    def cannot_hold(self, at: str, why: str = "") -> None:
        """List a keyword that an answer may break.

        Raises:
            RequestError: the schema is strict.
        """
        if self._is_strict:
            keyword = at.rsplit("/", 1)[-1]
            reason = f": {why}" if why else ""
            raise self._refusal(f"{keyword} at {shortened(at)} cannot be enforced during generation{reason}", _HINT)
        self._unheld.append(at)

    def reference(self, value: Any, at: str, base: str) -> str:
        """Return the lowered reference; its target is lowered later.

        Raises:
            RequestError: the reference leads outside the document.
        """
        place = self._references.find(value, base) if isinstance(value, str) else None
        if place is None:
            raise self.refuse(f"{shortened(at)} leads to {str(value)[:100]!r}, which is not in it")
        key = (id(place.schema), place.base)
        if key not in self._names:
            self._names[key] = str(len(self._names))
            stands = quote(value, safe="#/%~$") if value.startswith("#") else at
            self._waiting.append((self._names[key], place, stands))
        return f"#/$defs/{self._names[key]}"

    def target_of(self, reference: str, base: str) -> Any:
        """The client's schema to which a reference leads; None if it is not in the document."""
        place = self._references.find(reference, base)
        return None if place is None else place.schema

    def has_room_for(self, lists: Sequence[Sequence[Any]]) -> bool:
        """Whether the lists of the document together have at most MAX_LISTED_CHARACTERS; they are counted if so."""
        characters = sum(2 + sum(2 + len(str(value)) for value in each) for each in lists)
        if self._listed_characters + characters > MAX_LISTED_CHARACTERS:
            return False
        self._listed_characters += characters
        return True

    def refuse(self, problem: str) -> RequestError:
        """The error for an invalid schema."""
        return self._refusal(problem, "correct the schema")

    def _refusal(self, problem: str, hint: str) -> RequestError:
        return RequestError(f"{self._whose} cannot be enforced: {problem}", hint=hint, param=self._param)

    def pattern(self, pattern: str) -> str:
        """Return the lowered pattern.

        Raises:
            PatternError: the pattern cannot be enforced.
            RequestError: the patterns of the document together have too many characters.
        """
        if pattern not in self._patterns:
            self._pattern_characters += len(pattern)
            if self._pattern_characters > MAX_PATTERN_CHARACTERS:
                raise self._refusal(
                    f"its patterns have more than {MAX_PATTERN_CHARACTERS} characters together", "send fewer patterns"
                )
            self._patterns[pattern] = lower_pattern(pattern)
        return self._patterns[pattern]

    def are_apart(self, branches: list[Any], within: frozenset[str]) -> bool:
        """Whether it is certain that no value of these kinds matches two of the branches."""
        return Comparison(self._target).are_apart(branches, within)

    def _target(self, reference: str) -> Any:
        """The target of a lowered reference, lowered now if necessary; None while it is not known."""
        name = reference.rsplit("/", 1)[-1]
        for index, (waiting, place, at) in enumerate(self._waiting):
            if waiting == name and self._level < MAX_DEPTH // 2:
                del self._waiting[index]
                self._definitions[name] = self.schema(place.schema, at, place.base)
                break
        return self._definitions.get(name)
