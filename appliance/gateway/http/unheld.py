"""Headers that name the schema keywords that an answer may break, and the schemas that it broke."""

from __future__ import annotations

UNHELD = b"appliance-schema-unheld"
BROKEN = b"appliance-schema-broken"
