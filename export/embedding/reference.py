"""The reference: the vectors of an embedding model, computed in 64-bit floats without the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from appliance.artefact.manifest import CLS
from export.checkpoint import Checkpoint
from export.embedding.decoder import Decoder
from export.embedding.decoder_reference import last_states
from export.embedding.reading import EmbeddingModel
from export.pooling.states import Doubles, token_states


def reference_vectors(
    checkpoint: Checkpoint, model: EmbeddingModel, texts: Sequence[Sequence[int]], progress: Callable[[int, int], None]
) -> Doubles:
    """Compute the vector of each text, float64 [texts, dimensions]; see `token_states`."""
    if isinstance(model.body, Decoder):
        vectors = last_states(checkpoint, model.body.architecture, texts, progress)
    else:
        states = token_states(checkpoint, model.body, texts, progress)
        vectors = np.stack([each[0] if model.pooling.mode == CLS else each.mean(0) for each in states])
    if model.pooling.normalise:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
