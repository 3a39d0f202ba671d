"""How every answer is written: JSON without spaces, and characters as they are."""

from __future__ import annotations

import json

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
