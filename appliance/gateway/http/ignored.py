"""The header that names the parameters of a request that have no effect. Errors have it too."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.types import Scope

from appliance.gateway.http.header_list import listed

HEADER = b"appliance-ignored-parameters"
_NAMES = "appliance.ignored_parameters"


def note_ignored(request: Request, names: Iterable[str]) -> None:
    """Add parameters to the header of the response, which must not have begun."""
    request.scope.setdefault(_NAMES, []).extend(names)


def ignored_header(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The header, with each name once; empty if all parameters have an effect."""
    return listed(HEADER, list(dict.fromkeys(scope.get(_NAMES, ()))))
