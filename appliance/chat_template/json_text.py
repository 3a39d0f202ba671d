"""A JSON object with the text that it was parsed from. It parses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class JsonText(dict[str, Any]):
    """An object whose JSON is written as its author wrote it, so that a history is rendered byte by byte the same.

    Attributes:
        source: the JSON text that it was parsed from.
    """

    def __init__(self, value: Mapping[str, Any], source: str) -> None:
        super().__init__(value)
        self.source = source
