"""The permissions of a principal. Values only."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from appliance.errors import UsageError


class Scope(enum.Enum):
    """One kind of permission.

    A principal with `admin` may do everything. `infer` and `read` are separate: a key for a dashboard reads metrics but
    cannot use the model; a key for an application cannot read the metrics of other clients.
    """

    INFER = "infer"
    READ = "read"
    ADMIN = "admin"


MEANINGS = {
    Scope.INFER: "send requests to models, and list the models",
    Scope.READ: "list the models, and read the metrics",
    Scope.ADMIN: "all operations",
}


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes with these names.

    Raises:
        UsageError: a name is unknown, or no name is given.
    """
    known = {scope.value: scope for scope in Scope}
    found = set()
    for word in words:
        if word not in known:
            raise UsageError(f"there is no scope {word!r}", hint=f"scopes: {', '.join(known)}")
        found.add(known[word])
    if not found:
        raise UsageError("no scope is given", hint=f"scopes: {', '.join(known)}")
    return frozenset(found)


def scope_words(scopes: Iterable[Scope]) -> list[str]:
    """The names of the scopes, in the order of the enumeration."""
    given = set(scopes)
    return [scope.value for scope in Scope if scope in given]
