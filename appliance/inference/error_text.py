"""An error of ours as the one line that Triton carries, and the way back: "ErrorClassName[param]: message (hint)"."""

from __future__ import annotations

import re

from appliance import errors
from appliance.errors import ApplianceError, RequestError

_NAME = re.compile(r"[\w.]{1,64}")
# With whatever Triton puts in front of it; "[param]" may be absent.
_WRITTEN = re.compile(r"\b([A-Z][A-Za-z]*Error)(?:\[([^\]]*)\])?: (.*)", re.DOTALL)


def write(error: ApplianceError) -> str:
    """The line; "[param]" is there where a field of the request is at fault."""
    param = error.param if isinstance(error, RequestError) else ""
    # What a client made up may hold brackets, and the reader must find the end of it.
    named = f"[{param}]" if param and _NAME.fullmatch(param) else ""
    return f"{type(error).__name__}{named}: {error}"


def read(text: str) -> ApplianceError | None:
    """The error that the text has in it; None where it has none of ours.

    The hint stays in the message. Whether a name is that of an error is asked of `appliance.errors` alone.
    """
    found = _WRITTEN.search(text)
    kind = getattr(errors, found[1], None) if found else None
    if found is None or not isinstance(kind, type) or not issubclass(kind, ApplianceError):
        return None
    message = found[3].strip()
    return kind(message, param=found[2] or "") if issubclass(kind, RequestError) else kind(message)
