"""The export of one reranker, for the pipeline; see `PoolingExport`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from appliance.artefact.manifest import Reranking
from appliance.sources import Described
from export.checkpoint import Checkpoint
from export.lowering import encoder as lowering
from export.pooling.export import Doubles, Progress
from export.pooling.words import Words, read_task
from export.reranking.reading import RerankingModel
from export.reranking.reference import reference_logits
from export.reranking.report import Material, Report, check_report
from export.reranking.words import words_of


@dataclass(frozen=True)
class RerankingExport:
    """See the module."""

    checkpoint: Checkpoint
    model: RerankingModel
    kind: str = "a reranker"
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> RerankingExport:
        """Read the model's description; raises as `RerankingModel.of` does."""
        return cls(checkpoint, RerankingModel.of(checkpoint))

    @property
    def architecture(self) -> str:
        """The architecture's name."""
        return self.model.encoder.name

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor that the graph has."""
        return self.model.tensors()

    def words(self) -> Words[Reranking]:
        """The tokenizer and the settings."""
        return words_of(self.checkpoint, self.model)

    def described(self) -> Described:
        """What the store keeps of the model."""
        task = self.words().task
        return Described(
            architecture=self.architecture,
            context_tokens=task.max_tokens,
            summary=f"reranker, architecture {self.architecture}, pairs of at most {task.max_tokens} tokens",
            notes=self.notes,
        )

    def task(self, folder: Path) -> Reranking:
        """Read the settings."""
        return read_task(folder, Reranking)

    def build(self, folder: Path, progress: Progress) -> None:
        """Write graph and weights."""
        lowering.build(self.checkpoint, self.model.encoder, self.model.head, folder, progress)

    def material(self, tokenizer: Tokenizer, task: Reranking) -> Material:
        """The pairs to measure."""
        return Material.of(tokenizer, task)

    def reference(self, material: Material, progress: Progress) -> Doubles:
        """The logits of the pairs."""
        return reference_logits(self.checkpoint, self.model, material, progress)

    def report(
        self, candidate: str, reference: str, material: Material, found: npt.NDArray[np.float32], expected: Doubles
    ) -> bytes:
        """The quality report."""
        return Report.of(candidate, reference, material, found, expected).to_bytes()

    def check_report(self, content: bytes, where: str) -> dict[str, Any]:
        """The figures of a report."""
        return check_report(content, where)
