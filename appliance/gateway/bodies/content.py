"""The text of a message's content, in all APIs: a text, or parts that each have a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class HasText(Protocol):
    """A part of a content."""

    @property
    def text(self) -> str:
        """The part's text for the prompt."""


def content_text(content: str | Sequence[HasText] | None) -> str:
    """The whole text; parts are separate lines."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content)
