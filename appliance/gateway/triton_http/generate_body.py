"""The body of `generate` and `generate_stream`: made anew from what was checked, in the name of who is authenticated.

Triton takes each key of the body, and each one in its `parameters`, for an input if the model has one of that name,
else for a parameter (generate extension). So a key that is written strangely, or twice, must not get there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from appliance.errors import RequestError
from appliance.gateway.openai.body import read_object

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PARAMETERS = "parameters"
# Whose prefixes are shared is decided by who is authenticated, never by what a request says.
_PRINCIPAL = "principal"


def generate_body(content: bytes, principal: str) -> bytes:
    """Return the body for Triton.

    Args:
        content: what the client sent.
        principal: the name of whoever is authenticated.

    Raises:
        RequestError: it is no JSON object, a key is not a plain name, a value has a depth that Triton gives no meaning
            to, or it names a principal.
    """
    asked = read_object(content)
    parameters = asked.get(_PARAMETERS, {})
    if not isinstance(parameters, dict):
        raise RequestError(f"{_PARAMETERS} must be an object", param=_PARAMETERS)
    _check({key: value for key, value in asked.items() if key != _PARAMETERS})
    _check(parameters)
    try:
        return json.dumps({**asked, _PRINCIPAL: principal}, allow_nan=False).encode()
    except ValueError as error:
        raise RequestError("a number is none that JSON has (NaN, Infinity)") from error


def _check(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key == _PRINCIPAL:
            raise RequestError(f"the input {_PRINCIPAL!r} is the gateway's to set", param=_PRINCIPAL)
        if not _KEY.fullmatch(key):
            raise RequestError(f"unknown parameter: {key!r}", param=key)
        elements = value if isinstance(value, list) else [value]
        if any(isinstance(element, dict | list) for element in elements):
            raise RequestError(f"{key} must be one value or a list of values", param=key)
