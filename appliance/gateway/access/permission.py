"""Checks that a principal may do something."""

from __future__ import annotations

from collections.abc import Collection

from appliance.auth.principal import Principal
from appliance.auth.scope import Scope, scope_words
from appliance.gateway.refusals import ForbiddenError


def check_scopes(principal: Principal, any_of: Collection[Scope]) -> None:
    """Check that a principal has one of these scopes.

    Raises:
        ForbiddenError: it has none of them.
    """
    if not principal.may(any_of):
        words = " or ".join(scope_words(any_of))
        raise ForbiddenError(f"this needs the scope {words}, which {principal.name} does not have")
