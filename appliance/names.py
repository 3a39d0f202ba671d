"""The allowed names of models, targets and presets."""

from __future__ import annotations

import re

from appliance.errors import UsageError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if it is safe as one path component and lower case, as Triton and OpenAI clients send it.

    Raises:
        UsageError: the name contains another character, or is empty or too long.
    """
    if not NAME.fullmatch(name) or ".." in name:
        example = similar_name(name)
        raise UsageError(
            f"{what} {name!r} is not valid",
            hint="use 1 to 96 lower-case letters, digits, '.', '-' or '_', beginning with a letter or digit"
            f"{': for example ' if example else ''}{example}",
        )
    return name


def similar_name(name: str) -> str:
    """An allowed name that resembles `name`, for a hint; empty if there is none."""
    safe = re.sub(r"[^a-z0-9._-]+", "-", re.sub(r"\.\.+", ".", name.lower())).strip("-._")
    return safe if NAME.fullmatch(safe) else ""


def variant(target: str, preset: str) -> str:
    """The name of a model's variant for a target and a preset: "cpu-balanced".

    Raises:
        UsageError: a name is not valid.
    """
    return f"{check_name(target, 'target')}-{check_name(preset, 'preset')}"
