"""A parsed JSON object together with its source text. This module parses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class JsonText(dict[str, Any]):
    """An object that keeps its original JSON text, so that a conversation's history is rendered byte for byte the same.

    Attributes:
        source: the JSON text from which the object was parsed.
    """

    def __init__(self, value: Mapping[str, Any], source: str) -> None:
        super().__init__(value)
        self.source = source
