"""Who asks, as a value. It proves nothing: whoever makes one has checked a key or a certificate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.auth.scope import Scope


@dataclass(frozen=True)
class Principal:
    """One who asks.

    Attributes:
        name: unique on this box, and safe in logs: "key:<id>", "cert:<name>" or "local".
        scopes: what it may do.
    """

    name: str
    scopes: frozenset[Scope]

    def may(self, any_of: Iterable[Scope]) -> bool:
        """Whether one of these scopes is among its own."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(any_of)


# Everybody on this machine, while the box demands no key.
LOCAL = Principal("local", frozenset(Scope))
