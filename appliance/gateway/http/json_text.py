"""The JSON encoder of all answers: no spaces, and characters are not escaped."""

from __future__ import annotations

import json

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
