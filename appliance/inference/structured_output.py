"""The grammar of a completion as clients send it (vLLM's `structured_outputs`). This module compiles nothing."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import RequestError
from appliance.json_schema import FREELY_SPACED, compiler_schema, lower

PARAM = "structured_outputs"
MAX_CHARACTERS = 1 << 17


class ConstraintKind(enum.Enum):
    """The kind of a grammar; the value is the client's key."""

    JSON = "json"
    JSON_OBJECT = "json_object"
    REGEX = "regex"
    CHOICE = "choice"
    GRAMMAR = "grammar"


@dataclass(frozen=True)
class StructuredOutput:
    """A grammar for the text of a completion.

    Attributes:
        kind: the format of `text`; never JSON_OBJECT, which is converted to a schema.
        text: a JSON schema for the compiler, with its options (see `appliance.json_schema`), a regular expression, or a
            grammar in llguidance's Lark dialect or llama.cpp's GBNF; for CHOICE, a JSON list.

    Raises:
        RequestError: the text is too long.
    """

    kind: ConstraintKind
    text: str

    def __post_init__(self) -> None:
        if len(self.text) > MAX_CHARACTERS:
            raise RequestError(
                f"{PARAM} has {len(self.text)} characters; the limit is {MAX_CHARACTERS}",
                hint="send a smaller schema or grammar",
                param=PARAM,
            )

    @classmethod
    def from_mapping(cls, value: Any) -> StructuredOutput:
        """Read a parsed JSON object with exactly one of the keys of `ConstraintKind`; null counts as absent.

        A string that contains such an object is accepted too, because Triton's `generate` accepts only strings.

        Raises:
            RequestError: the value is not an object, has no key or several keys, or a value has the wrong type.
        """
        if isinstance(value, str):
            value = _parse(PARAM, value)
        if not isinstance(value, Mapping):
            raise RequestError(f"{PARAM} must be an object", param=PARAM)
        given = {key: content for key, content in value.items() if content is not None}
        known = {kind.value: kind for kind in ConstraintKind}
        unknown = sorted(str(key) for key in given.keys() - known.keys())
        if unknown:
            raise RequestError(
                f"{PARAM} has the unknown key {unknown[0]!r}",
                hint=f"supported: {', '.join(sorted(known))}",
                param=PARAM,
            )
        if len(given) != 1:
            raise RequestError(f"{PARAM} must have exactly one of {', '.join(sorted(known))}", param=PARAM)
        ((key, content),) = given.items()
        return _READERS[known[key]](content)


def _parse(what: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{what} is not JSON: {error}", param=PARAM) from error


def _read_schema(value: Any) -> StructuredOutput:
    """Read a strict schema: an object, true or false, or a string that contains one of these."""
    if isinstance(value, str):
        value = _parse("the schema", value)
    if not isinstance(value, bool | Mapping):
        raise RequestError(f"a JSON schema must be an object or true, not {type(value).__name__}", param=PARAM)
    return _of_schema(value)


def _of_schema(document: Any) -> StructuredOutput:
    schema = compiler_schema(lower(document, is_strict=True, param=PARAM, whose=PARAM).schema, FREELY_SPACED)
    try:
        return StructuredOutput(ConstraintKind.JSON, json.dumps(schema))
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"the schema is not JSON: {error}", param=PARAM) from error


def _read_json_object(value: Any) -> StructuredOutput:
    if value is not True:
        raise RequestError(f"json_object of {PARAM} can only be true", param=PARAM)
    return _of_schema({"type": "object"})


def _read_choice(value: Any) -> StructuredOutput:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(text, str) for text in value):
        raise RequestError(f"choice of {PARAM} must be a list of at least one string", param=PARAM)
    return StructuredOutput(ConstraintKind.CHOICE, json.dumps(list(value)))


def _read_text(kind: ConstraintKind, value: Any) -> StructuredOutput:
    if not isinstance(value, str):
        raise RequestError(f"{kind.value} of {PARAM} must be a string", param=PARAM)
    return StructuredOutput(kind, value)


_READERS: dict[ConstraintKind, Callable[[Any], StructuredOutput]] = {
    ConstraintKind.JSON: _read_schema,
    ConstraintKind.JSON_OBJECT: _read_json_object,
    ConstraintKind.REGEX: lambda value: _read_text(ConstraintKind.REGEX, value),
    ConstraintKind.CHOICE: _read_choice,
    ConstraintKind.GRAMMAR: lambda value: _read_text(ConstraintKind.GRAMMAR, value),
}
