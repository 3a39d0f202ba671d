"""Decides which checkpoints are pooling models: embedding models and rerankers. The others generate text."""

from __future__ import annotations

from appliance.sources.formats import POOLING
from export.architecture.bert import is_encoder
from export.architecture.cross_encoder import is_cross_encoder
from export.checkpoint import Checkpoint
from export.embedding.export import EmbeddingExport
from export.pooling.export import PoolingExport
from export.reranking.export import RerankingExport


def pooling_export(checkpoint: Checkpoint) -> PoolingExport | None:
    """The export of a pooling model; None if the checkpoint's model generates text.

    Raises:
        UnsupportedError: the architecture, a tensor or a setting is not supported.
        IntegrityError: a file is damaged.
    """
    if is_cross_encoder(checkpoint.config):
        return RerankingExport.of(checkpoint)
    is_embedder = is_encoder(checkpoint.config) or POOLING in checkpoint.files
    return EmbeddingExport.of(checkpoint) if is_embedder else None
