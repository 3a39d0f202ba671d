"""What the pipeline needs from each task of pooling models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from appliance.artefact.manifest import Embedding, Reranking
from appliance.sources import Described
from export.pooling.words import Words

Doubles = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]


class Material(Protocol):
    """The texts to measure.

    Attributes:
        texts: token ids of each text or pair, with the special tokens.
        first_lengths: the number of tokens before the second text of each pair; empty if the texts are no pairs.
    """

    @property
    def texts(self) -> Sequence[Sequence[int]]: ...  # noqa: D102

    @property
    def first_lengths(self) -> Sequence[int]: ...  # noqa: D102


class PoolingExport(Protocol):
    """The parts of one model's export that depend on its task."""

    @property
    def kind(self) -> str:
        """What the model is: "an embedding model"."""

    @property
    def architecture(self) -> str:
        """The architecture's name."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for people."""

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor that the graph has."""

    def words(self) -> Words[Any]:
        """The tokenizer and the settings.

        Raises:
            IntegrityError, UnsupportedError: they are not usable.
        """

    def task(self, folder: Path) -> Embedding | Reranking:
        """Read the settings from the folder that `Words.write` filled."""

    def build(self, folder: Path, progress: Progress) -> None:
        """Write graph and weights into the folder."""

    def described(self) -> Described:
        """What the store keeps of the model; raises as `words` does."""

    def material(self, tokenizer: Tokenizer, task: Any) -> Material:
        """The texts to measure, for the task's limits."""

    def reference(self, material: Any, progress: Progress) -> Doubles:
        """The rows of the texts, float64 [texts, width], computed without the graph."""

    def report(
        self, candidate: str, reference: str, material: Any, found: npt.NDArray[np.float32], expected: Doubles
    ) -> bytes:
        """The quality report: how far the rows of the graph (`found`) are from those of the reference (`expected`)."""

    def check_report(self, content: bytes, where: str) -> dict[str, Any]:
        """Return the figures for the manifest from the report at `where`.

        Raises:
            QualityError: the graph is too far from the reference.
            IntegrityError: the content is not a report.
        """
