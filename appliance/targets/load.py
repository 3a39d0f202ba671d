"""Reads the target files. It refuses unknown keys, missing keys and wrong types, each by the file's name."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from pydantic import TypeAdapter, ValidationError

from appliance.errors import UnknownModelError, UsageError
from appliance.targets.target import Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_CHECKED = TypeAdapter(Target)


def target_from_text(text: str, origin: str) -> Target:
    """Parse one target file; `origin` names it in messages.

    Raises:
        UsageError: not TOML, or a key or value is wrong.
    """
    try:
        # By way of JSON, where a strict reader takes arrays for tuples; a date has no way there.
        return _CHECKED.validate_json(json.dumps(tomllib.loads(text)))
    except TypeError as error:
        raise UsageError(f"{origin} has a value of an unsupported type: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{origin}: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{origin} is not TOML: {error}") from error


@cache
def targets() -> Mapping[str, Target]:
    """All targets by name."""
    folder = files("appliance.targets") / "data"
    found = [target_from_text(file.read_text(encoding="utf-8"), file.name) for file in folder.iterdir()]
    return {target.name: target for target in sorted(found, key=lambda target: target.name)}


def get(name: str) -> Target:
    """The target of this name.

    Raises:
        UnknownModelError: there is none.
    """
    known = targets()
    if name not in known:
        raise UnknownModelError(f"there is no target {name!r}", hint=f"targets: {', '.join(known)}")
    return known[name]


def fitting(compute_capability: str, *, is_jetson: bool) -> tuple[Target, ...]:
    """The targets that a GPU of this compute capability is: those of Jetson modules, or all others."""
    return tuple(
        target
        for target in targets().values()
        if target.compute_capability == compute_capability and target.is_jetson == is_jetson
    )
