"""The authenticated principal of a request, as a value. The code that creates it has checked a key or a certificate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.auth.scope import Scope


@dataclass(frozen=True)
class Principal:
    """A client that the box has identified.

    Attributes:
        name: unique on this box, and safe in logs: "key:<id>", "cert:<name>" or "local".
        scopes: what the principal may do.
    """

    name: str
    scopes: frozenset[Scope]

    def may(self, any_of: Iterable[Scope]) -> bool:
        """Whether the principal has at least one of these scopes."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(any_of)


# Every client on this machine, while the box requires no key.
LOCAL = Principal("local", frozenset(Scope))
