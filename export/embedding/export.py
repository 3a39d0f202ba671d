"""The export of one embedding model, for the pipeline; see `PoolingExport`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from appliance.artefact.manifest import Embedding
from appliance.sources import Described
from export.checkpoint import Checkpoint
from export.embedding.decoder import Decoder, with_usual_names
from export.embedding.reading import EmbeddingModel
from export.embedding.reference import reference_vectors
from export.embedding.report import Material, Report, check_report
from export.embedding.words import words_of
from export.lowering import decoder_embedder
from export.lowering import encoder as lowering
from export.pooling.export import Doubles, Progress
from export.pooling.words import Words, read_task


@dataclass(frozen=True)
class EmbeddingExport:
    """See the module."""

    checkpoint: Checkpoint
    model: EmbeddingModel
    kind: str = "an embedding model"

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> EmbeddingExport:
        """Read the model's description; raises as `EmbeddingModel.of` does."""
        usual = with_usual_names(checkpoint)
        return cls(usual, EmbeddingModel.of(usual))

    @property
    def architecture(self) -> str:
        """The architecture's name."""
        return self.model.body.name

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for people."""
        return self.model.preparation.notes

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor that the graph has."""
        body = self.model.body
        return body.architecture.tensors() if isinstance(body, Decoder) else body.tensors()

    def words(self) -> Words[Embedding]:
        """The tokenizer and the settings."""
        return words_of(self.checkpoint, self.model)

    def described(self) -> Described:
        """What the store keeps of the model."""
        task = self.words().task
        prefixes = ", ".join(f"{prefix!r} before a {purpose}" for purpose, prefix in task.prefixes.items())
        return Described(
            architecture=self.architecture,
            context_tokens=task.max_tokens,
            summary=f"embedding model, architecture {self.architecture}, {task.dimensions} dimensions, texts of at "
            f"most {task.max_tokens} tokens, prefixes: {prefixes or 'none'}",
            notes=self.notes,
        )

    def task(self, folder: Path) -> Embedding:
        """Read the settings."""
        return read_task(folder, Embedding)

    def build(self, folder: Path, progress: Progress) -> None:
        """Write graph and weights."""
        body, pooling = self.model.body, self.model.pooling
        if isinstance(body, Decoder):
            decoder_embedder.build(self.checkpoint, body.architecture, folder, progress, normalise=pooling.normalise)
        else:
            lowering.build(self.checkpoint, body, pooling, folder, progress)

    def material(self, tokenizer: Tokenizer, task: Embedding) -> Material:
        """The texts to measure."""
        return Material.of(tokenizer, task.max_tokens)

    def reference(self, material: Material, progress: Progress) -> Doubles:
        """The vectors of the texts."""
        return reference_vectors(self.checkpoint, self.model, material.texts, progress)

    def report(
        self, candidate: str, reference: str, material: Material, found: npt.NDArray[np.float32], expected: Doubles
    ) -> bytes:
        """The quality report."""
        return Report.of(candidate, reference, material, found, expected).to_bytes()

    def check_report(self, content: bytes, where: str) -> dict[str, Any]:
        """The figures of a report."""
        return check_report(content, where)
