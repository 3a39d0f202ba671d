"""TLS on the wire."""

from __future__ import annotations

ATTACKS = ()
