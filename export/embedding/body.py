"""What the files beside the weights are read for: an encoder, or a decoder."""

from __future__ import annotations

from typing import Protocol


class Body(Protocol):
    """The part of a model that makes states of tokens; `Encoder` and `Decoder` have these sizes."""

    @property
    def name(self) -> str:
        """The architecture's name."""

    @property
    def hidden(self) -> int:
        """Width of the token states."""

    @property
    def vocabulary(self) -> int:
        """Rows of the table of tokens."""

    @property
    def most_tokens(self) -> int:
        """The longest text."""
