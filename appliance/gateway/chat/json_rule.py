"""A JSON schema as a rule in llguidance's Lark dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.json_schema import compiler_schema


def json_rule(lowered: Mapping[str, Any], spacing: Mapping[str, Any]) -> str:
    """Return the rule for a lowered schema; `spacing` is one of the options in `appliance.json_schema`."""
    return f"%json {json.dumps(compiler_schema(lowered, spacing))}"
