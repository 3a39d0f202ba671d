"""A JSON schema as a rule in llguidance's Lark dialect, read as strictly as the engine reads its own schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.json_schema import STRICTLY

# As templates and the models' training have it: what comes back as history is the same bytes.
ARGUMENTS: Mapping[str, Any] = {
    **STRICTLY,
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}


def json_rule(schema: Any, options: Mapping[str, Any]) -> str:
    """Return the rule; `options` say how the schema is read, in place of what a client's own "x-guidance" says."""
    value = {**schema, "x-guidance": options} if isinstance(schema, Mapping) else schema
    return f"%json {json.dumps(value)}"
