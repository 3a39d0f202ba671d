"""Converts a client's JSON schema to one that is enforced token by token; checks whole answers against the rest."""

from appliance.json_schema.closing import closed
from appliance.json_schema.keywords import MAX_OPTIONAL_PROPERTIES
from appliance.json_schema.lowering import MAX_SCHEMAS, Lowered, lower
from appliance.json_schema.options import ARGUMENTS, FREELY_SPACED, compiler_schema
from appliance.json_schema.verdict import is_broken, is_kept

__all__ = [
    "ARGUMENTS",
    "FREELY_SPACED",
    "MAX_OPTIONAL_PROPERTIES",
    "MAX_SCHEMAS",
    "Lowered",
    "closed",
    "compiler_schema",
    "is_broken",
    "is_kept",
    "lower",
]
