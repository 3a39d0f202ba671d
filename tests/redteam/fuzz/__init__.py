"""Fuzz of every parser behind the box's listeners: valid requests with changes, in an order that the seed fixes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.redteam.attack import Attack
from tests.redteam.fuzz import bodies, heads, messages

_KINDS = (heads, bodies, messages)


def attacks(seconds: float) -> Iterator[Attack]:
    """One of each kind; they share the time."""
    for kind in _KINDS:
        yield kind.attack(seconds / len(_KINDS))
