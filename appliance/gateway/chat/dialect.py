"""How a model writes tool calls and whether it thinks, from its manifest. Unknown formats cause an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tokenizers

from appliance.artefact.manifest import Conversation
from appliance.errors import UnsupportedError
from appliance.gateway.chat.calls import Calls
from appliance.gateway.chat.coder import CoderCalls
from appliance.gateway.chat.hermes import HermesCalls

PARSERS: Mapping[str, type[Calls]] = {"hermes": HermesCalls, "qwen3-coder": CoderCalls}


@dataclass(frozen=True)
class Dialect:
    """The output conventions of one model.

    Attributes:
        tools: the format of its tool calls, a key of PARSERS; empty if the model was not trained to call tools.
        thinks: whether it can think before it answers.
    """

    tools: str = ""
    thinks: bool = False

    @classmethod
    def from_manifest(cls, conversation: Conversation) -> Dialect:
        """Read the manifest's section.

        Raises:
            UnsupportedError: the manifest names a format of tool calls that this version does not support.
        """
        if conversation.tools and conversation.tools not in PARSERS:
            raise UnsupportedError(
                f"the artefact's tool calls have the unsupported format {conversation.tools!r}",
                hint=f"supported formats: {', '.join(sorted(PARSERS))}",
            )
        return cls(conversation.tools, conversation.thinking)

    def marks(self, tokenizer: tokenizers.Tokenizer) -> Mapping[str, int]:
        """Return the tokens of the marks that this model writes.

        Raises:
            UnsupportedError: the tokenizer lacks one of them.
        """
        found: dict[str, int] = {}
        for text in Conversation(self.tools, self.thinks).marks:
            token = tokenizer.token_to_id(text)
            if token is None:
                raise UnsupportedError(
                    f"the manifest says that the model writes {text}, which is not a token of its tokenizer",
                    hint="correct the model's catalogue entry and export it again",
                )
            found[text] = token
        return found
