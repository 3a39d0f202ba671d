"""From the bytes of a request body to a checked value. It refuses what it does not understand, and names it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import pydantic
import pydantic_core

from appliance.errors import RequestError
from appliance.gateway.bodies.messages import ROLES
from appliance.gateway.bodies.strict import Strict

Body = TypeVar("Body", bound=Strict)

_LIMIT_DIGITS = 9
_MAX_FIELDS = 128
# A turn or a tool, and what stands in it.
_LEVELS = 1
_UNKNOWN = "extra_forbidden"
_ONLY_NULL = frozenset({"none_required"})
_TAGGED = frozenset({"union_tag_invalid", "union_tag_not_found"})
_FORMS = frozenset({"str", "int", "float", "bool", "[key]", "NamedTool"})
# Tags of our own unions stand in angle brackets.
_FORM_BEGINNINGS = ("list[", "literal[", "constrained-", "function-", "<")


def read_object(content: bytes) -> dict[str, Any]:
    """Parse a JSON body.

    NaN and Infinity pass the parser, so that the check can name the parameter that has them.

    Raises:
        RequestError: not UTF-8, not JSON, nested too deeply, not an object.
    """
    try:
        value = pydantic_core.from_json(content, allow_inf_nan=True)
    except ValueError as error:
        raise RequestError(f"the body is not valid JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object")
    return value


def check(kind: type[Body], value: Mapping[str, Any]) -> Body:
    """Check parsed values.

    Raises:
        RequestError: a parameter is unknown or has a wrong value; it is named.
    """
    _check_fields(value)
    try:
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        raise _explained(error) from error


def query_fields(given: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a query; numbers are texts in an address, and long ones stay so: no limit is as large."""
    found: dict[str, Any] = dict(given)
    limit = given.get("limit", "")
    if limit.isascii() and limit.isdigit() and len(limit) <= _LIMIT_DIGITS:
        found["limit"] = int(limit)
    return found


def _check_fields(body: Mapping[str, Any]) -> None:
    """Refuse an object with thousands of unknown fields at once: the check would make an error for each.

    Schemas, which may have as many, are deeper.
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


def _explained(error: pydantic.ValidationError) -> RequestError:
    """One message for the error that is deepest in the body: where a value may have several types, that one knows most.

    The value itself is not repeated: messages are logged nowhere, but clients may log them.
    """
    found = max(error.errors(include_url=False, include_input=False), key=lambda one: len(one["loc"]))
    param = _path(found["loc"])
    if found["type"] in _TAGGED:
        param += f".{found['ctx']['discriminator'].strip(chr(39))}"
    if found["type"] == _UNKNOWN:
        return RequestError(f"unknown parameter: {param}", param=param)
    if found["type"] in _ONLY_NULL:
        return RequestError(f"{param} is not supported", param=param)
    return RequestError(f"{param}: {found['msg']}", param=param)


def _path(location: tuple[int | str, ...]) -> str:
    """('messages', 0, 'content', 'list[TextPart]', 1, 'type') → 'messages[0].content[1].type'."""
    path = ""
    before: int | str = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _is_form(part, before):
            path += f".{part}" if path else part
        before = part
    return path


def _is_form(part: str, before: int | str) -> bool:
    """Whether a part of a path only names the form that a value was checked as; the client knows nothing of it."""
    if part in _FORMS or part.startswith(_FORM_BEGINNINGS):
        return True
    return (part in ROLES and isinstance(before, int)) or before == "response_format"
