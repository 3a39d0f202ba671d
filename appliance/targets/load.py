"""Reads the target files. Errors name the file, and each unknown key, missing key or wrong type."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from appliance.document import from_toml
from appliance.errors import UnknownModelError
from appliance.targets.target import Target


def target_from_text(text: str, origin: str) -> Target:
    """Parse one target file; `origin` names it in messages.

    Raises:
        UsageError: not TOML, or a key or value is wrong.
    """
    return from_toml(Target, text, origin)


@cache
def targets() -> Mapping[str, Target]:
    """All targets by name."""
    folder = files("appliance.targets") / "data"
    found = [target_from_text(file.read_text(encoding="utf-8"), file.name) for file in folder.iterdir()]
    return {target.name: target for target in sorted(found, key=lambda target: target.name)}


def get(name: str) -> Target:
    """The target of this name.

    Raises:
        UnknownModelError: no target has this name.
    """
    known = targets()
    if name not in known:
        raise UnknownModelError(f"there is no target {name!r}", hint=f"targets: {', '.join(known)}")
    return known[name]


def fitting(compute_capability: str, *, is_jetson: bool) -> tuple[Target, ...]:
    """The targets for a GPU of this compute capability: those of Jetson modules, or all others."""
    return tuple(
        target
        for target in targets().values()
        if target.compute_capability == compute_capability and target.is_jetson == is_jetson
    )
