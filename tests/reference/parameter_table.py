"""An API's parameters as a table in Markdown, from its schema and its treatment of what is no field there."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from appliance.gateway.bodies.parameter_policy import ParameterPolicy

_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("max_length", "at most"))


def parameter_table(kind: type[BaseModel], policy: ParameterPolicy) -> str:
    """One row a parameter, sorted."""
    rows = [
        (name, "supported", meaning(info)) for name, info in kind.model_fields.items() if name not in policy.refused
    ]
    for name, refused in policy.refused.items():
        passes = ", ".join(f"`{json.dumps(value)}`" for value in refused.neutral)
        rows.append((name, "rejected", refused.why + (f"; allowed: {passes}" if passes else "")))
    rows += [(name, "ignored", why) for name, why in policy.ignored.items()]
    lines = [f"| `{name}` | {how} | {words} |" for name, how, words in sorted(rows)]
    return "\n".join(["| parameter | status | values, meaning |", "|---|---|---|", *lines]) + "\n"


def meaning(info: FieldInfo) -> str:
    """A field's bounds and description."""
    bounds = [text for rule in info.metadata if (text := _bound(rule))]
    return "; ".join(part for part in (", ".join(bounds), info.description) if part)


def _bound(rule: Any) -> str:
    """One of pydantic's constraints in words; empty for those that the description already tells."""
    return next((f"{words} {getattr(rule, name)}" for name, words in _BOUNDS if hasattr(rule, name)), "")
