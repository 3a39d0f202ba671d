"""A decoder that embeds texts by the state of their last token: its description, and its tensors in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.architecture import Architecture
from export.architecture.bert import is_encoder
from export.checkpoint import Checkpoint
from export.reading import checked_architecture

# Attention over the whole text at once takes tokens x tokens numbers for each head: 1 GB for 16 heads.
MOST_TOKENS = 4096
_BODY = "model."


@dataclass(frozen=True)
class Decoder:
    """The layers of a decoder without the output head.

    Attributes:
        architecture: the description; its head is the embedding, which the graph does not use as one.
    """

    architecture: Architecture

    @classmethod
    def of(cls, checkpoint: Checkpoint, config: Mapping[str, Any]) -> Decoder:
        """Read the description.

        Args:
            checkpoint: the weights, with the names of `with_usual_names`.
            config: its configuration, without the keys that only embedding models have.

        Raises:
            UnsupportedError: see `checked_architecture`.
        """
        return cls(checked_architecture(checkpoint, {**config, "tie_word_embeddings": True}, has_head=False))

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.architecture.name

    @property
    def hidden(self) -> int:
        """Width of the token states, which is also the number of dimensions of an embedding."""
        return self.architecture.hidden

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""
        return self.architecture.vocabulary

    @property
    def most_tokens(self) -> int:
        """The longest text."""
        return min(self.architecture.context_tokens, MOST_TOKENS)


def with_usual_names(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the names of a whole decoder: sentence-transformers saves names without their beginning."""
    is_encoder_or_whole = is_encoder(checkpoint.config) or any(name.startswith(_BODY) for name in checkpoint.names())
    return checkpoint if is_encoder_or_whole else _Body(checkpoint)


class _Body:
    """A checkpoint in whose names the beginning is missing."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    @property
    def config(self) -> Mapping[str, Any]:
        return self._checkpoint.config

    @property
    def files(self) -> Mapping[str, Path]:
        return self._checkpoint.files

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._checkpoint.metadata

    def names(self) -> Sequence[str]:
        return [f"{_BODY}{name}" for name in self._checkpoint.names()]

    def shape(self, name: str) -> tuple[int, ...]:
        return self._checkpoint.shape(_plain(name))

    def source_type(self, name: str) -> str:
        return self._checkpoint.source_type(_plain(name))

    def read(self, name: str) -> npt.NDArray[np.float32]:
        return self._checkpoint.read(_plain(name))

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        return self._checkpoint.raw(_plain(name))


def _plain(name: str) -> str:
    return name.removeprefix(_BODY)
