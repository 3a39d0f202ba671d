"""The arguments of a call as an object, for APIs that do not send them as text."""

from __future__ import annotations

from typing import Any

import pydantic_core

from appliance.errors import EngineError


def arguments_object(text: str, *, is_cut: bool) -> dict[str, Any] | None:
    """The arguments that the model wrote; None if they are not a JSON object.

    If the answer was cut within the call, the complete part of the arguments, as clients parse a stream.
    """
    if not text:
        return {}
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False, allow_partial=is_cut)
    except ValueError:
        return {} if is_cut else None
    return value if isinstance(value, dict) else None


def not_an_object(tool: str) -> EngineError:
    """The error for a call of a tool whose arguments are not a JSON object."""
    return EngineError(
        f"the model wrote arguments for the tool {tool!r} that are not a JSON object",
        hint="try again, or set strict for the tool",
    )
