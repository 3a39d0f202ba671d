"""Tags of unions of objects. They are in angle brackets, so that paths in messages can omit them."""

from __future__ import annotations

from typing import Any


def type_tag(value: Any) -> str:
    """The tag of an object by its `type`: "<text>"."""
    return f"<{value.get('type') if isinstance(value, dict) else getattr(value, 'type', None)}>"
