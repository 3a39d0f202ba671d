"""Whether a machine is large enough for an export, told before the work starts. It frees nothing."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import NoSpaceError
from appliance.memory import available_bytes
from export.architecture import Architecture
from export.checkpoint import Checkpoint
from export.presets import FLOAT, Preset, Weights

_FLOAT_BYTES = 4
_MATRIX = 2


@dataclass(frozen=True)
class Needs:
    """What an export takes, from the shapes of the tensors. Estimates, on the high side.

    Attributes:
        output_bytes: graph and weights of the artefact.
        largest_bytes: the largest tensor in 32-bit floats.
        float_bytes: all weights in 32-bit floats, the graph of the reference.
    """

    output_bytes: int
    largest_bytes: int
    float_bytes: int

    @classmethod
    def of(cls, checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> Needs:
        """Add up the tensors."""
        output = floats = largest = 0
        for name, weights in _held(checkpoint, architecture, preset):
            elements = math.prod(checkpoint.shape(name))
            output += _held_bytes(elements, weights)
            floats += elements * _FLOAT_BYTES
            largest = max(largest, elements * _FLOAT_BYTES)
        rotary = architecture.context_tokens * max(layer.attention.head_dim for layer in architecture.layers)
        return cls(output + rotary * _FLOAT_BYTES, largest, floats + rotary * _FLOAT_BYTES)

    @property
    def memory_bytes(self) -> int:
        """Peak memory of the export: at most twice the largest tensor plus the output."""
        return 2 * self.largest_bytes + self.output_bytes


def check_disk(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse when the file system of `folder`, which may not exist yet, has less than `needed_bytes` free.

    Raises:
        NoSpaceError: it says what is needed and what there is.
    """
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise NoSpaceError(
            f"{what} needs {_megabytes(needed_bytes)} in {folder}, {_megabytes(free)} are free",
            hint="free some space, or move the folders with APPLIANCE_ROOT and APPLIANCE_CACHE",
        )


def check_memory(needs: Needs) -> None:
    """Refuse when less memory is available than the export takes.

    Raises:
        NoSpaceError: it shows the arithmetic.
    """
    available = available_bytes()
    if available < needs.memory_bytes:
        raise NoSpaceError(
            f"the export needs {_megabytes(needs.memory_bytes)} of memory: 2 x {_megabytes(needs.largest_bytes)} for "
            f"the largest tensor, {_megabytes(needs.output_bytes)} for the output; "
            f"{_megabytes(available)} are available",
            hint="close other programs, or export on a larger machine: the artefact can be copied",
        )


def _held(checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> Iterator[tuple[str, Weights]]:
    """Yield every tensor and how the graph holds it."""
    for name in checkpoint.names():
        if len(checkpoint.shape(name)) < _MATRIX:
            yield name, FLOAT
        elif name == architecture.embedding:
            yield name, preset.embedding
        elif name == architecture.head:
            yield name, preset.head
        else:
            yield name, preset.weights(name, architecture.depth(name))
    if architecture.tied_embeddings:
        # The table of the embedding and the matrix of the head are held apart, each in its own form.
        yield architecture.head, preset.head
    if preset.rescoring and not (architecture.tied_embeddings and preset.rescoring.weights == preset.embedding):
        # The finer rows; of tied embeddings they are the embedding's own.
        yield architecture.head, preset.rescoring.weights


def _held_bytes(elements: int, weights: Weights) -> int:
    if weights.is_float:
        return elements * _FLOAT_BYTES
    blocks = -(-elements // weights.block)
    return elements * weights.bits // 8 + blocks * (_FLOAT_BYTES + (0 if weights.symmetric else 1))


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB"
