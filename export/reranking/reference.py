"""The reference: the logits of a reranker, computed in 64-bit floats without the graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from export.checkpoint import Checkpoint
from export.pooling.states import Doubles, Tensors, token_states
from export.reranking.reading import RerankingModel
from export.reranking.report import Material


def reference_logits(
    checkpoint: Checkpoint, model: RerankingModel, material: Material, progress: Callable[[int, int], None]
) -> Doubles:
    """Compute the logit of each pair, float64 [pairs, 1]; see `token_states`."""
    states = token_states(checkpoint, model.encoder, material.texts, progress, material.first_lengths)
    tensors = Tensors(checkpoint)
    dense, output = tensors.dense(model.head.dense), tensors.dense(model.head.output)
    return output(np.tanh(dense(np.stack([each[0] for each in states]))))
