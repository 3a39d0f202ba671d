"""An API's parameters as a table in Markdown, from its schema and its treatment of what is no field there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.bodies.strict import Strict

_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("max_length", "at most"))


def parameter_table(kind: type[BaseModel], policy: ParameterPolicy) -> str:
    """One row a parameter, or a group of parameters with the same rule, sorted."""
    lines = [f"| {names} | {how} | {words} |" for names, how, words in grouped(rows(kind, policy))]
    return "\n".join(["| parameter | status | values, meaning |", "|---|---|---|", *lines]) + "\n"


def grouped(found: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows, sorted by name; ignored parameters for the same reason have one row."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, *rest in sorted(found):
        groups.setdefault(("" if "ignored" in rest else name, tuple(rest)), []).append(name)
    return [
        (", ".join(f"`{name}`" for name in names), *rest)
        for (_, rest), names in sorted(groups.items(), key=lambda group: (group[1], group[0]))
    ]


def names_of(policy: ParameterPolicy) -> frozenset[str]:
    """All parameters that have a rule."""
    return frozenset({*policy.refused, *policy.hints, *policy.synonyms})


def rows(kind: type[BaseModel], policy: ParameterPolicy) -> Iterator[tuple[str, str, str]]:
    """The name, the status and the meaning of each parameter."""
    for name, info in kind.model_fields.items():
        if name not in names_of(policy):
            yield name, "supported", meaning(info)
    for name, refused in policy.refused.items():
        yield name, "rejected", refused.why + _passes("allowed", refused.neutral)
    for name, hint in policy.hints.items():
        yield name, "ignored", hint.why + _passes("not reported", hint.neutral)
    for name, synonym in policy.synonyms.items():
        yield name, f"as `{synonym.parameter}`", synonym.values


def _passes(how: str, values: tuple[Any, ...]) -> str:
    return f"; {how}: {', '.join(f'`{json.dumps(value)}`' for value in values)}" if values else ""


def field_table() -> str:
    """The fields inside of all bodies that have no effect."""
    reasons = {(name, "ignored", why) for kind in _descendants(Strict) for name, why in kind.HINTS.items()}
    lines = [f"| {names} | {why} |" for names, _, why in grouped(reasons)]
    return "\n".join(["| field | why it has no effect |", "|---|---|", *lines]) + "\n"


def _descendants(kind: type[Strict]) -> Iterator[type[Strict]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)


def meaning(info: FieldInfo) -> str:
    """A field's bounds and description."""
    bounds = [text for rule in info.metadata if (text := _bound(rule))]
    return "; ".join(part for part in (", ".join(bounds), info.description) if part)


def _bound(rule: Any) -> str:
    """One of pydantic's constraints in words; empty for those that the description already tells."""
    return next((f"{words} {getattr(rule, name)}" for name, words in _BOUNDS if hasattr(rule, name)), "")
