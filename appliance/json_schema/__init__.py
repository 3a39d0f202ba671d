"""What of a client's JSON schema an answer can be held to, token by token. It compiles nothing and checks no answer."""

from appliance.json_schema.keywords import MAX_OPTIONAL_PROPERTIES
from appliance.json_schema.lowering import Lowered, lower
from appliance.json_schema.options import ARGUMENTS, FREELY_SPACED, compiler_schema

__all__ = ["ARGUMENTS", "FREELY_SPACED", "MAX_OPTIONAL_PROPERTIES", "Lowered", "compiler_schema", "lower"]
