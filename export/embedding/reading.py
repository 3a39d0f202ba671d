"""Reads the description of an embedding model, and checks it against the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import UnsupportedError
from appliance.number import shown, whole
from export.architecture.bert import describe_encoder, is_encoder
from export.architecture.configuration import Configuration
from export.architecture.encoder import Encoder, Pooling
from export.checkpoint import Checkpoint
from export.embedding.decoder import Decoder
from export.embedding.pooling import pooling_of
from export.embedding.texts import Preparation

# Tensors that no embedding needs: the head of BERT's training, and integers that count positions.
_UNUSED = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")


# vLLM's names for models whose vectors keep their meaning when they are cut.
_CUT, _CUTS = "is_matryoshka", "matryoshka_dimensions"


@dataclass(frozen=True)
class EmbeddingModel:
    """What an embedding model computes.

    Attributes:
        body: from token ids to token states.
        pooling: from token states to one vector.
        preparation: from a text to token ids.
        least_dimensions: see `appliance.artefact.embedding.Embedding`.
    """

    body: Encoder | Decoder
    pooling: Pooling
    preparation: Preparation
    least_dimensions: int | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> EmbeddingModel:
        """Read the description of a checkpoint with the names of `with_usual_names`.

        Raises:
            UnsupportedError: the architecture, a tensor, the pooling or a setting is not supported.
            IntegrityError: a file is damaged.
        """
        config = {key: value for key, value in checkpoint.config.items() if key not in {_CUT, _CUTS}}
        body = _encoder_of(checkpoint, config) if is_encoder(config) else Decoder.of(checkpoint, config)
        pooling, preparation = pooling_of(checkpoint.files, body), Preparation.of(checkpoint.files, body)
        return cls(body, pooling, preparation, _least_dimensions(checkpoint.config, body.hidden))


def _least_dimensions(config: Mapping[str, Any], hidden: int) -> int | None:
    """The least number of dimensions that the configuration allows.

    Raises:
        UnsupportedError: a value is wrong.
    """
    reader = Configuration({key: config[key] for key in (_CUT, _CUTS) if key in config})
    stated = reader.take(_CUTS)
    if stated is None:
        return 1 if reader.flag(_CUT, default=False) else None
    try:
        return min(whole(each, least=1, most=hidden) for each in stated)
    except (TypeError, ValueError) as error:
        raise UnsupportedError(f"the configuration's {_CUTS} is {shown(stated)}", hint="correct config.json") from error


def _encoder_of(checkpoint: Checkpoint, config: Mapping[str, Any]) -> Encoder:
    """Describe the encoder, with sizes that its tensors have."""
    encoder = describe_encoder(config)
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
