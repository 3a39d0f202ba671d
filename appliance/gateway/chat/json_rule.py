"""A JSON schema as a rule in llguidance's Lark dialect, read as strictly as the engine reads its own schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# A client's own "x-guidance" may not loosen what its schema says, so ours takes its place.
_GUARD = {"coerce_one_of": False, "lenient": False}
# As templates and the models' training have it: what comes back as history is the same bytes.
ARGUMENTS: Mapping[str, Any] = {
    **_GUARD,
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}
FORMAT: Mapping[str, Any] = {
    **_GUARD,
    "whitespace_flexible": True,
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,64}",
    "item_separator": ",",
    "key_separator": ":",
}


def json_rule(schema: Any, options: Mapping[str, Any]) -> str:
    """Return the rule; `options` is one of those above."""
    value = {**schema, "x-guidance": options} if isinstance(schema, Mapping) else schema
    return f"%json {json.dumps(value)}"
