"""Turns the bytes of a request body into a checked value. Wrong content causes an error that names it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import pydantic
import pydantic_core

from appliance.config import UnknownParameters
from appliance.errors import RequestError
from appliance.gateway.bodies.strict import Strict
from appliance.gateway.bodies.wrong_value import explained

Body = TypeVar("Body", bound=Strict)

_LIMIT_DIGITS = 9
_MAX_FIELDS = 128
# The checked depth: a turn or a tool, and the objects in it.
_LEVELS = 1


def read_object(content: bytes) -> dict[str, Any]:
    """Parse a JSON body.

    The parser accepts NaN and Infinity, so that the later check can name the parameter that has them.

    Raises:
        RequestError: the body is not UTF-8, not JSON, not an object, or nested too deeply.
    """
    try:
        value = pydantic_core.from_json(content, allow_inf_nan=True)
    except ValueError as error:
        raise RequestError(f"the body is not valid JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object")
    return value


def check(kind: type[Body], value: Mapping[str, Any], *, unknown: UnknownParameters = "refuse") -> Body:
    """Check parsed values; `unknown` is what happens to fields that are not in the schema, at every depth.

    Raises:
        RequestError: a parameter is unknown or has a wrong value; the error names it.
    """
    _check_fields(value)
    try:
        return kind.model_validate(value, extra="ignore" if unknown == "ignore" else None)
    except pydantic.ValidationError as error:
        raise explained(error) from error


def query_fields(given: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a query, with `limit` as a number. A long `limit` stays a text: no valid limit is as large."""
    found: dict[str, Any] = dict(given)
    limit = given.get("limit", "")
    if limit.isascii() and limit.isdigit() and len(limit) <= _LIMIT_DIGITS:
        found["limit"] = int(limit)
    return found


def _check_fields(body: Mapping[str, Any]) -> None:
    """Reject an object with thousands of unknown fields before the check, which would create an error for each field.

    Schemas may have as many fields, but they are nested deeper.
    """
    if len(body) > _MAX_FIELDS:
        raise RequestError("the object has too many fields")
    for name, value in body.items():
        if isinstance(value, list):
            _check_items(value, name, _LEVELS)


def _check_items(values: Collection[Any], name: str, levels: int) -> None:
    for one in values:
        if isinstance(one, dict):
            if len(one) > _MAX_FIELDS:
                raise RequestError(f"{name}: the object has too many fields", param=name)
            if levels:
                _check_items(one.values(), name, levels - 1)
        elif isinstance(one, list) and levels:
            _check_items(one, name, levels - 1)
