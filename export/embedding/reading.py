"""Reads the description of an embedding model, and checks it against the tensors."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import UnsupportedError
from appliance.number import shown
from export.architecture.bert import describe_encoder
from export.architecture.encoder import Encoder, Pooling
from export.checkpoint import Checkpoint
from export.embedding.pooling import pooling_of
from export.embedding.texts import Preparation

# Tensors that no embedding needs: the head of BERT's training, and integers that count positions.
_UNUSED = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")


@dataclass(frozen=True)
class EmbeddingModel:
    """What an embedding model computes.

    Attributes:
        encoder: from token ids to token states.
        pooling: from token states to one vector.
        preparation: from a text to token ids.
    """

    encoder: Encoder
    pooling: Pooling
    preparation: Preparation

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> EmbeddingModel:
        """Read the description.

        Raises:
            UnsupportedError: the architecture, a tensor, the pooling or a setting is not supported.
            IntegrityError: a file is damaged.
        """
        encoder = _encoder_of(checkpoint)
        return cls(encoder, pooling_of(checkpoint.files, encoder), Preparation.of(checkpoint.files, encoder))


def _encoder_of(checkpoint: Checkpoint) -> Encoder:
    """Describe the encoder, with sizes that its tensors have."""
    encoder = describe_encoder(checkpoint.config)
    expected = dict(encoder.tensors())
    for name in checkpoint.names():
        if name not in expected and name not in _UNUSED:
            raise UnsupportedError(
                f"the checkpoint has the tensor {shown(name)}, which {encoder.name} encoders do not have",
                hint="use the files of a sentence-transformers model, whose weights have no head",
            )
    for name, shape in expected.items():
        found = checkpoint.shape(name)
        if found != shape:
            raise UnsupportedError(
                f"the tensor {name} has the shape {found}, but the configuration requires {shape}",
                hint="the configuration belongs to another model, or was changed; pull the model again",
            )
    return encoder
