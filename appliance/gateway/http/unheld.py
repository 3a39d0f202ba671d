"""Headers about schemas: the keywords that an answer may break, the schemas that it broke, and the retries."""

from __future__ import annotations

UNHELD = b"appliance-schema-unheld"
BROKEN = b"appliance-schema-broken"
RETRIES = b"appliance-schema-retries"
