"""The text generation task, and the fields that only this task needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.artefact.parts import Conversation, Generation, ModelShape

TEXT_GENERATION = "text-generation"


@dataclass(frozen=True)
class TextGeneration:
    """The settings of text generation.

    Attributes:
        shape: see ModelShape.
        generation: see Generation.
        conversation: see Conversation.
    """

    shape: ModelShape
    generation: Generation
    conversation: Conversation = field(default_factory=Conversation)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> TextGeneration:
        """Create the task from JSON values.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: a value is wrong, or there are other fields.
        """
        if fields.keys() != {each.name for each in dataclasses.fields(cls)}:
            raise ValueError(f"{TEXT_GENERATION} has other fields than it should")
        shape = ModelShape.from_fields(fields["shape"])
        return cls(
            shape=shape,
            generation=Generation.from_fields(fields["generation"], shape.tokens),
            conversation=Conversation.from_fields(fields["conversation"]),
        )
