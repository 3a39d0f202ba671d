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
        context_tokens: longest prompt plus completion.
        conversation: stated by the user, else read from the chat template and the tokens.
        notes: lines for people.
    """

    architecture: str
    context_tokens: int
    conversation: Conversation
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line for people."""
        tools, thinks = self.conversation.tools or "none", "yes" if self.conversation.thinking else "no"
        return (
            f"architecture {self.architecture}, context {self.context_tokens} tokens, tool calls: {tools}, "
            f"thinking: {thinks}"
        )


# (published name -> path, the conversation that the user stated) -> description; None if no reader is installed.
# Raises ApplianceError if the checkpoint cannot be exported.
Describe = Callable[[Mapping[str, Path], Conversation | None], Described | None]
