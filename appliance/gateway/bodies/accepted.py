"""Accepts a request body: applies the API's rules, checks the values, and names the parameters without effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from appliance.config import UnknownParameters
from appliance.errors import RequestError
from appliance.gateway.bodies.json_body import Body, check
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.bodies.strict import Strict


@dataclass(frozen=True)
class Accepted(Generic[Body]):
    """A checked body.

    Attributes:
        body: the values.
        ignored: the parameters that were sent and have no effect: "store", "messages[].cache_control".
        renamed: the box's name of a parameter → the name that the client used.
    """

    body: Body
    ignored: tuple[str, ...]
    renamed: Mapping[str, str]


def accept(
    kind: type[Body], policy: ParameterPolicy, value: Mapping[str, Any], unknown: UnknownParameters
) -> Accepted[Body]:
    """Return the checked body; `unknown` is what happens to parameters that are in no table.

    Raises:
        RequestError: a parameter is not supported or has a wrong value; the error names it.
    """
    applied = policy.applied(value)
    try:
        body = check(kind, applied.body, unknown=unknown)
    except RequestError as error:
        sent = applied.renamed.get(error.param or "")
        if sent is None:
            raise
        raise RequestError(f"{sent}, as {error.message}", hint=error.hint, param=sent) from error
    ignored = dict.fromkeys([*applied.ignored, *_without_effect(body, applied.body, "")])
    return Accepted(body, tuple(ignored), applied.renamed)


def _without_effect(checked: Strict, given: Mapping[str, Any], path: str) -> Iterator[str]:
    """The fields of an object that the checked value does not have."""
    names = checked.input_names()
    for name, value in given.items():
        if value is None:
            continue
        if name not in names or name in checked.HINTS:
            yield path + name
        else:
            yield from _inside(getattr(checked, names[name]), value, path + name)


def _inside(checked: Any, given: Any, path: str) -> Iterator[str]:
    if isinstance(checked, Strict) and isinstance(given, dict):
        yield from _without_effect(checked, given, f"{path}.")
    # A prompt can have a hundred thousand numbers: only lists of objects are searched.
    elif isinstance(checked, list) and isinstance(given, list) and checked and isinstance(checked[0], Strict):
        for one, sent in zip(checked, given, strict=True):
            yield from _inside(one, sent, f"{path}[]")
