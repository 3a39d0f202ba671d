"""Pairs of texts for a reranker as values. `EmbeddingCall` reads the answer: one float32 number for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.gateway.triton.embedding_call import EmbeddingRequest


@dataclass(frozen=True)
class RerankingRequest(EmbeddingRequest):
    """One request to a reranker, whose `texts` are pairs.

    Attributes:
        first_lengths: the number of tokens before the second text of each pair.
    """

    first_lengths: Sequence[int] = ()

    def counts(self) -> dict[str, Sequence[int]]:
        """See `EmbeddingRequest.counts`."""
        return {**super().counts(), "first_lengths": self.first_lengths}
