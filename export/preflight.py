"""Checks that a machine has enough memory for an export, before the work starts. It frees nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from appliance.errors import NoSpaceError
from appliance.memory import available_bytes
from appliance.sizes import size
from export.architecture import Architecture
from export.checkpoint import Checkpoint
from export.holdings import held
from export.presets import REFERENCE, Preset

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Needs:
    """The sizes that an export needs, from the tensors' shapes. They are upper estimates.

    Attributes:
        output_bytes: graph and weights of the artefact.
        largest_bytes: the largest tensor in 32-bit floats.
        float_bytes: all weights in 32-bit floats: the size of the reference's graph.
    """

    output_bytes: int
    largest_bytes: int
    float_bytes: int

    @classmethod
    def of(cls, checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> Needs:
        """Compute the sizes from the tensors' shapes."""
        tensors = list(held(checkpoint, architecture, preset))
        return cls(
            output_bytes=sum(tensor.size_bytes for tensor in tensors),
            largest_bytes=max(math.prod(checkpoint.shape(name)) for name in checkpoint.names()) * _FLOAT_BYTES,
            float_bytes=sum(tensor.elements for tensor in held(checkpoint, architecture, REFERENCE)) * _FLOAT_BYTES,
        )

    @property
    def memory_bytes(self) -> int:
        """Peak memory of the export: at most twice the largest tensor, plus the output."""
        return 2 * self.largest_bytes + self.output_bytes


def check_memory(needs: Needs) -> None:
    """Check that the available memory is enough for the export.

    Raises:
        NoSpaceError: it is not; the message shows the arithmetic.
    """
    available = available_bytes()
    if available < needs.memory_bytes:
        raise NoSpaceError(
            f"the export needs {size(needs.memory_bytes)} of memory: 2 x {size(needs.largest_bytes)} for "
            f"the largest tensor, {size(needs.output_bytes)} for the output; "
            f"{size(available)} are available",
            hint="close other programs, or export on a larger machine: the artefact can be copied",
        )
