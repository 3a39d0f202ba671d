"""What a reader of checkpoints found in one that is not in the catalogue, before it is copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.catalog.entry import Conversation


@dataclass(frozen=True)
class Described:
    """A checkpoint that can be exported.

    Attributes:
        architecture: as the checkpoint names it.
        context_tokens: longest prompt plus completion, or longest text to embed.
        summary: one line for people.
        notes: further lines for people.
    """

    architecture: str
    context_tokens: int
    summary: str
    notes: tuple[str, ...] = ()


# (published name -> path, the conversation that the user stated) -> description; None if no reader is installed.
# Raises ApplianceError if the checkpoint cannot be exported.
Describe = Callable[[Mapping[str, Path], Conversation | None], Described | None]
