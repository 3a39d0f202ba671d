"""Whether a machine is large enough for an export, told before the work starts. It frees nothing."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from appliance.errors import NoSpaceError
from export.architecture import Architecture
from export.checkpoint import Checkpoint
from export.presets import FLOAT, WHOLE_ROW, Preset, Weights

_FLOAT_BYTES = 4
_MATRIX = 2
# Two files that hold the limit and the use of the control group that this process is in, by version of control groups.
_GROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


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
            shape = checkpoint.shape(name)
            elements = math.prod(shape)
            output += _held_bytes(shape, weights)
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
    available = available_memory_bytes()
    if available < needs.memory_bytes:
        raise NoSpaceError(
            f"the export needs {_megabytes(needs.memory_bytes)} of memory: 2 x {_megabytes(needs.largest_bytes)} for "
            f"the largest tensor, {_megabytes(needs.output_bytes)} for the output; "
            f"{_megabytes(available)} are available",
            hint="close other programs, or export on a larger machine: the artefact can be copied",
        )


def available_memory_bytes() -> int:
    """Memory that this process can still take: the machine's, or its control group's where that is less."""
    available = int(psutil.virtual_memory().available)
    return min(available, *(_left_bytes(limit, used, available) for limit, used in _GROUP_LIMITS))


def _left_bytes(limit: Path, used: Path, otherwise: int) -> int:
    """What a control group's limit leaves; `otherwise` where there is no group of this version or no limit ("max")."""
    try:
        return max(0, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return otherwise


def _held(checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> Iterator[tuple[str, Weights]]:
    """Yield every tensor and how the graph holds it."""
    for name in checkpoint.names():
        yield name, FLOAT if len(checkpoint.shape(name)) < _MATRIX else preset.held(name, architecture)
    if architecture.tied_embeddings and not preset.shares_tied_table:
        # The table of the embedding and the matrix of the head are held apart, each in its own form.
        yield architecture.head, preset.head
    if preset.rescoring and not (architecture.tied_embeddings and preset.rescoring.weights == preset.embedding):
        # The finer rows; of tied embeddings they are the embedding's own.
        yield architecture.head, preset.rescoring.weights


def _held_bytes(shape: tuple[int, ...], weights: Weights) -> int:
    elements = math.prod(shape)
    if weights.is_float:
        return elements * weights.bits // 8
    blocks = -(-elements // (shape[-1] if weights.block == WHOLE_ROW else weights.block))
    return elements * weights.bits // 8 + blocks * (_FLOAT_BYTES + (0 if weights.symmetric else 1))


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB"
