"""From the bytes of a request body to a checked value. It refuses what it does not understand, and names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic
import pydantic_core

from appliance.errors import RequestError
from appliance.gateway.openai.parameters import honoured
from appliance.gateway.openai.schema import Strict

Body = TypeVar("Body", bound=Strict)

_UNKNOWN = "extra_forbidden"
_ONLY_NULL = frozenset({"none_required"})
_ALTERNATIVES = ("list[", "constrained-", "function-", "<")


def parse(kind: type[Body], content: bytes, endpoint: str) -> Body:
    """Parse and check a JSON body.

    Raises:
        RequestError: not UTF-8, not JSON, nested too deeply, not an object; or a parameter is unknown, cannot be
            honoured, or has a wrong value.
    """
    return check(kind, honoured(read_object(content), endpoint))


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
    try:
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        raise _explained(error) from error


def _explained(error: pydantic.ValidationError) -> RequestError:
    """One message for the error that is deepest in the body: where a value may have several types, that one knows most.

    The value itself is not repeated: messages are logged nowhere, but clients may log them.
    """
    found = max(error.errors(include_url=False, include_input=False), key=lambda one: len(one["loc"]))
    param = _path(found["loc"])
    if found["type"] == _UNKNOWN:
        return RequestError(f"unknown parameter: {param}", param=param)
    if found["type"] in _ONLY_NULL:
        return RequestError(f"{param} cannot be honoured", param=param)
    return RequestError(f"{param}: {found['msg']}", param=param)


def _path(location: tuple[int | str, ...]) -> str:
    """('messages', 0, 'content', 'list[TextPart]', 1, 'type') → 'messages[0].content[1].type'.

    Left out are the tags of our own unions, in angle brackets, and the names that pydantic gives to alternatives.
    """
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in {"str", "int", "[key]"} and not part.startswith(_ALTERNATIVES):
            path += f".{part}" if path else part
    return path
