"""The parameters of chat and completions that restrict the text of an answer, by the names of several servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from appliance.errors import RequestError
from appliance.gateway.bodies.strict import OnlyFalse, OnlyTrue, Strict
from appliance.gateway.bodies.tools import ResponseFormat, is_strict, structure_of
from appliance.inference.structured_output import MAX_CHARACTERS

_RESPONSE_FORMAT = "response_format"
_STRUCTURED = "structured_outputs"
# Older names in vLLM, and the names of llama.cpp; all of them describe the whole text.
_SYNONYMS = {
    "guided_json": "json",
    "guided_regex": "regex",
    "guided_choice": "choice",
    "guided_grammar": "grammar",
    "grammar": "grammar",
    "json_schema": "json",
}
Schema = dict[str, Any] | bool | str


class StructuredOutputs(Strict):
    """vLLM's `structured_outputs`: exactly one of the first five."""

    HINTS: ClassVar[Mapping[str, str]] = {"disable_fallback": "the box has one compiler for grammars"}

    json_: Schema | None = Field(None, alias="json")
    json_object: OnlyTrue | None = None
    regex: str | None = None
    choice: list[str] | None = Field(None, min_length=1)
    grammar: str | None = None
    disable_any_whitespace: OnlyFalse | None = None
    disable_additional_properties: OnlyFalse | None = None
    whitespace_pattern: None = None
    structural_tag: None = None


class StructureBody(Strict):
    """The fields of a body; `structure_asked` reads them."""

    response_format: ResponseFormat | None = Field(
        None, description="`text`, `json_object` or `json_schema`; the answer always matches it"
    )
    structured_outputs: StructuredOutputs | None = Field(
        None,
        description="as in vLLM; one of `json` (a schema), `json_object` (true), `regex`, `choice` (a list of texts)"
        " and `grammar` (llguidance's Lark or llama.cpp's GBNF); the answer always matches it",
    )
    guided_json: Schema | None = Field(None, description="older name of `structured_outputs.json`")
    guided_regex: str | None = Field(None, description="older name of `structured_outputs.regex`")
    guided_choice: list[str] | None = Field(None, min_length=1, description="older name of `structured_outputs.choice`")
    guided_grammar: str | None = Field(None, description="older name of `structured_outputs.grammar`")
    grammar: str | None = Field(
        None, description="as in llama.cpp; `structured_outputs.grammar`; an empty text means no grammar"
    )
    json_schema: Schema | None = Field(None, description="as in llama.cpp; `structured_outputs.json`")


@dataclass(frozen=True)
class Structure:
    """What the text of an answer must match.

    Attributes:
        wanted: the engine's `structured_outputs`; None for free text.
        name: the client's name of the parameter.
        is_strict: the request fails if not all of a schema can be enforced.
    """

    wanted: Mapping[str, Any] | None = None
    name: str = _RESPONSE_FORMAT
    is_strict: bool = False


def structure_asked(body: StructureBody) -> Structure:
    """Read the parameters of a body.

    Raises:
        RequestError: several parameters restrict the text, or one has no description or several; it is named.
    """
    found = []
    if (format_ := structure_of(body.response_format)) is not None:
        found.append(Structure(format_, is_strict=is_strict(body.response_format)))
    if body.structured_outputs is not None:
        found.append(Structure(_only_one(body.structured_outputs), _STRUCTURED, is_strict=True))
    for name, key in _SYNONYMS.items():
        value = getattr(body, name)
        if value is not None and value != "":
            found.append(Structure({key: _parsed(value, name) if key == "json" else value}, name, is_strict=True))
    if len(found) > 1:
        raise RequestError(
            f"{found[0].name} and {found[1].name} both restrict the text of the answer",
            hint="send only one of them",
            param=found[1].name,
        )
    return found[0] if found else Structure()


def _only_one(given: StructuredOutputs) -> dict[str, Any]:
    keys = ("json", "json_object", "regex", "choice", "grammar")
    values = {key: value for key, value in given.model_dump(by_alias=True).items() if key in keys and value is not None}
    if len(values) != 1:
        raise RequestError(f"{_STRUCTURED} must have exactly one of {', '.join(keys)}", param=_STRUCTURED)
    return {key: _parsed(value, f"{_STRUCTURED}.json") if key == "json" else value for key, value in values.items()}


def _parsed(schema: Schema, name: str) -> Any:
    """A schema; clients may send it as a text, whose values the limits of a body do not count."""
    if not isinstance(schema, str):
        return schema
    if len(schema) > MAX_CHARACTERS:
        raise RequestError(f"{name} has {len(schema)} characters; the limit is {MAX_CHARACTERS}", param=name)
    try:
        found = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{name} is not JSON: {error}", param=name) from error
    if not isinstance(found, bool | dict):
        raise RequestError(f"{name} must be a JSON schema: an object, true or false", param=name)
    return found
