"""Writes and reads an ApplianceError as one line of text for Triton: "ErrorClassName[param]: message (hint)"."""

from __future__ import annotations

import re

from appliance import errors
from appliance.errors import ApplianceError, RequestError

_NAME = re.compile(r"[\w.]{1,64}")
# Triton may add text before the error; "[param]" may be absent.
_WRITTEN = re.compile(r"\b([A-Z][A-Za-z]*Error)(?:\[([^\]]*)\])?: (.*)", re.DOTALL)


def write(error: ApplianceError) -> str:
    """The error as one line; it contains "[param]" if a field of the request is invalid."""
    param = error.param if isinstance(error, RequestError) else ""
    # A client's own name may contain brackets; then omit it, because `read` could not find its end.
    named = f"[{param}]" if param and _NAME.fullmatch(param) else ""
    return f"{type(error).__name__}{named}: {error}"


def read(text: str) -> ApplianceError | None:
    """The error in the text; None if the text contains no ApplianceError.

    The hint stays in the message. Only class names in `appliance.errors` are accepted.
    """
    found = _WRITTEN.search(text)
    kind = getattr(errors, found[1], None) if found else None
    if found is None or not isinstance(kind, type) or not issubclass(kind, ApplianceError):
        return None
    message = found[3].strip()
    return kind(message, param=found[2] or "") if issubclass(kind, RequestError) else kind(message)
