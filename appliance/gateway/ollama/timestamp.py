"""Times in Ollama's format, RFC 3339."""

from __future__ import annotations

import datetime as dt


def timestamp(seconds: float) -> str:
    """The text of a time in seconds since 1970."""
    return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
