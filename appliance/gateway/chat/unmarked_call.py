"""A tool call that the model wrote as a plain JSON object, `{"name": …, "arguments": {…}}`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Models write both.
ARGUMENTS = ("arguments", "parameters")
# The order of keys in which the arguments' own characters can be cut out of the call.
_BEFORE_ARGUMENTS = re.compile(r'\{\s*"name"\s*:\s*"[^"\\]*"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')
_LAYOUT = re.compile(r"\\+[nrt]|[\s\\]+")


@dataclass(frozen=True)
class UnmarkedCall:
    """A call.

    Attributes:
        name: the tool's name.
        arguments: one JSON object.
    """

    name: str
    arguments: str

    @classmethod
    def from_text(cls, text: str) -> UnmarkedCall | None:
        """Read a JSON object; None if it is no call, or has the same name twice."""
        try:
            call = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return None
        key = next((each for each in ARGUMENTS if each in call), "")
        if call.keys() != {"name", key} or not isinstance(call["name"], str) or not isinstance(call[key], dict):
            return None
        before = _BEFORE_ARGUMENTS.match(text)
        if before:
            return cls(call["name"], text[before.end() : -1].rstrip())
        return cls(call["name"], json.dumps(call[key], ensure_ascii=False))

    def is_in(self, contents: Iterable[str]) -> bool:
        """Whether one of these texts contains the call; they are texts that `without_layout` returned."""
        spellings = [f'"name":"{self.name}","{key}":{self.arguments}' for key in ARGUMENTS]
        spellings += [f'"{key}":{self.arguments},"name":"{self.name}"' for key in ARGUMENTS]
        plain = [without_layout(spelling) for spelling in spellings]
        return any(spelling in content for content in contents for spelling in plain)


def without_layout(text: str) -> str:
    """A text that is the same for JSON in any layout, and for this JSON inside a JSON string.

    All characters outside ASCII become escapes; then white space and backslashes are removed, also their escapes.
    """
    return _LAYOUT.sub("", json.dumps(text)).lower()[1:-1]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
