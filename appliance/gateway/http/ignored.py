"""The header that names the parameters of a request that have no effect. Errors have it too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.types import Scope

from appliance.gateway.http.header_list import listed

HEADER = b"appliance-ignored-parameters"
_NAMES = "appliance.ignored_parameters"
_SENT = "appliance.renamed_parameters"


def note_ignored(request: Request, names: Iterable[str]) -> None:
    """Add parameters to the header of the response, which must not have begun."""
    request.scope.setdefault(_NAMES, []).extend(names)


def note_renamed(request: Request, names: Mapping[str, str]) -> None:
    """Let the header have the names that the client used; `names` are by the box's names."""
    request.scope[_SENT] = names


def ignored_header(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The header, with each name once; empty if all parameters have an effect."""
    sent: Mapping[str, str] = scope.get(_SENT, {})
    return listed(HEADER, list(dict.fromkeys(sent.get(name, name) for name in scope.get(_NAMES, ()))))
