"""Parses documents into frozen dataclasses. Errors name each unknown, missing, mistyped or out-of-range key.

It reads the configuration, the catalogue and the targets. docs/decisions/one-reader-of-settings.md has the reason for
our own parser.
"""

from __future__ import annotations

import re
import sys
import types
from collections import abc
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from appliance.errors import UsageError
from appliance.number import MOST, real, shown, whole

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Value = TypeVar("Value")
_BOUNDS = "bounds"


@dataclass(frozen=True)
class Bounds:
    """The limits of a value, besides its type.

    Attributes:
        least, most: limits of a number, or of the length of a list.
        pattern: a text must match it completely; without a pattern, the text must not be blank.
        meaning: description of the pattern for messages.
    """

    least: float = 1
    most: int = MOST
    pattern: str = r"(?s).*\S.*"
    meaning: str = "a text"

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata for `dataclasses.field`."""
        return {_BOUNDS: self}


_ANY = Bounds()


def from_toml(kind: type[Value], text: str, origin: str, former: Mapping[str, str] = MappingProxyType({})) -> Value:
    """Parse TOML text; see `from_document`."""
    try:
        document = tomllib.loads(text)
    # ValueError includes numbers of thousands of digits; RecursionError is raised for deeply nested tables.
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{origin} is not TOML: {error}") from error
    return from_document(kind, document, origin, former)


def from_document(
    kind: type[Value], document: Any, origin: str, former: Mapping[str, str] = MappingProxyType({})
) -> Value:
    """Create a dataclass, and the dataclasses in its fields, from a parsed document.

    Args:
        kind: the dataclass. A field is a scalar, a choice (a Literal or an Enum), another dataclass, a tuple of these,
            or
            a table of them by name. Each may also be None, which is the value of a missing key without a default.
        document: plain values.
        origin: names the file in messages.
        former: keys of earlier versions -> instruction for the user.

    Raises:
        UsageError: a key or value is wrong.
    """
    if not isinstance(document, Mapping):
        raise UsageError(f"{origin} must be a table")
    options = {option.name: option for option in fields(kind)}  # type: ignore[arg-type]
    for key in document:
        if key not in options:
            raise UsageError(
                f"{origin}: unknown key {key!r}", hint=former.get(key) or f"known: {', '.join(sorted(options))}"
            )
    hints, values = get_type_hints(kind), {}
    for name, option in options.items():
        hint, is_optional = _optional(hints[name])
        value = document.get(name)
        if value is not None:
            values[name] = _value(hint, value, option.metadata.get(_BOUNDS, _ANY), origin, name, former)
        elif name in document and not is_optional:
            raise UsageError(f"{origin}: {name!r} is null")
        elif is_optional and (name in document or _is_required(option)):
            values[name] = None
        elif _is_required(option):
            raise UsageError(f"{origin}: {name!r} is missing")
    return kind(**values)


def _is_required(option: Field[Any]) -> bool:
    return option.default is MISSING and option.default_factory is MISSING


def _optional(hint: Any) -> tuple[Any, bool]:
    """The type of a present value, and whether the value may be missing."""
    if get_origin(hint) not in {Union, types.UnionType}:
        return hint, False
    (present,) = (kind for kind in get_args(hint) if kind is not types.NoneType)
    return present, True


def _value(hint: Any, value: Any, bounds: Bounds, origin: str, name: str, former: Mapping[str, str]) -> Any:
    form = get_origin(hint)
    if is_dataclass(hint):
        return from_document(hint, value, f"{origin} [{name}]", former)  # type: ignore[arg-type]
    if form is tuple:
        item = get_args(hint)[0]
        if not isinstance(value, list | tuple) or not bounds.least <= len(value) <= bounds.most:
            hint = f"write each of them as a table [[…{name}]]" if is_dataclass(item) else ""
            raise UsageError(
                f"{origin}: {name} must be a list" + f" of at least {bounds.least:g}" * (bounds.least > 0), hint=hint
            )
        return tuple(
            _value(item, each, bounds, origin, f"{name} {at}", former) for at, each in enumerate(value, start=1)
        )
    if form is abc.Mapping:
        if not isinstance(value, Mapping):
            raise UsageError(f"{origin}: {name} must be a table")
        item = get_args(hint)[1]
        found = {key: _value(item, each, bounds, origin, f"{name} {key!r}", former) for key, each in value.items()}
        return MappingProxyType(found)
    try:
        return _scalar(hint, value, bounds)
    except ValueError as error:
        raise UsageError(f"{origin}: {name} {error}") from error


def _scalar(hint: Any, value: Any, bounds: Bounds) -> Any:
    """Check a number, a text, a boolean or a choice.

    Raises:
        ValueError: the value is something else; the message continues after the value's name.
    """
    if hint is int:
        return whole(value, least=int(bounds.least), most=bounds.most)
    if hint is float:
        return real(value, least=bounds.least)
    if hint is bool:
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {shown(value)}")
        return value
    if hint is str:
        if not isinstance(value, str) or not re.fullmatch(bounds.pattern, value):
            raise ValueError(f"must be {bounds.meaning}, not {shown(value)}")
        return value
    choices = get_args(hint) if get_origin(hint) is Literal else [choice.value for choice in hint]
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"must be one of: {', '.join(choices)}")
    return hint(value) if isinstance(hint, type) and issubclass(hint, Enum) else value
