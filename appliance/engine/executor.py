"""The interface between the TensorRT runner, which has the rules, and the executor, which launches a plan.

docs/graph-tensorrt.md defines the graph's inputs and outputs. The plan fixes the cache's capacity and the launch sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.engine.logits import Logits


@dataclass(frozen=True)
class PlanLimits:
    """The limits of a plan's profiles.

    Attributes:
        capacity: rows of a slot.
        least_chunk: minimum tokens of a prefill launch.
        most_chunk: maximum tokens of a prefill launch.
        batch: maximum slots of a decode launch; the minimum is one.
    """

    capacity: int
    least_chunk: int
    most_chunk: int
    batch: int


class Executor(Protocol):
    """Owns the cache, which is zero at first, and the buffers of one launch. One caller at a time.

    Every method may raise EngineError. Logits are valid until the next launch.

    Attributes:
        limits: see PlanLimits.
    """

    limits: PlanLimits

    def prefill(self, slot: int, start: int, ids: NDArray[np.int64], wanted: int) -> Logits:
        """Launch on one slot: write ids [length] to its rows from `start`. Return the logits of the token `wanted`."""

    def decode(self, ids: NDArray[np.int64], write_indices: NDArray[np.int64]) -> Logits:
        """Launch on the first slots: ids [batch], each written at its row write_indices [batch]. Return all logits."""

    def copy(self, source: int, target: int, rows: int) -> None:
        """Copy the first `rows` rows of slot `source` to slot `target`."""

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """Exchange the first `first_rows` rows of slot `first` and the first `second_rows` rows of slot `second`."""

    def clear(self, slot: int, from_row: int) -> None:
        """Set all rows of a slot from `from_row` to zero."""
