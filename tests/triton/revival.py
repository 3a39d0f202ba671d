"""A gateway that does not load models again."""

from __future__ import annotations


async def is_not_revived(_model: str) -> bool:
    """See `Revive`."""
    return False
