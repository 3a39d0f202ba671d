"""Texts of a JSON value: the spellings that a parser takes for the same value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def compact(value: Any, **how: Any) -> str:
    return json.dumps(value, separators=(", ", ": "), **how)


def with_escapes(value: Any) -> str:
    """The value, each letter of its names written as an escape."""
    if isinstance(value, list):
        return f"[{', '.join(map(with_escapes, value))}]"
    if not isinstance(value, dict):
        return compact(value)
    names = {name: "".join(f"\\u{ord(letter) & 0xFFFF:04x}" for letter in name) for name in value}
    return "{" + ", ".join(f'"{names[name]}": {with_escapes(inner)}' for name, inner in value.items()) + "}"


def spellings(value: Any) -> Iterator[str]:
    """Texts of a value."""
    yield from {compact(value), compact(value, ensure_ascii=False), with_escapes(value)}
    if isinstance(value, dict):
        yield compact({name: value[name] for name in sorted(value)})


def is_writable(text: str) -> bool:
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in text)
