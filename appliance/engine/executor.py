"""The seam between the TensorRT runner and what launches a plan: the rules are on the one side, the calls on the other.

docs/graph-tensorrt.md has the graph's contract. The cache's capacity is fixed, and so is what a launch may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.engine.logits import Logits


@dataclass(frozen=True)
class PlanLimits:
    """What a plan's profiles allow.

    Attributes:
        capacity: rows of a slot.
        least_chunk: fewest tokens of a prefill.
        most_chunk: most tokens of a prefill.
        batch: most slots of a decode launch; the least is one.
    """

    capacity: int
    least_chunk: int
    most_chunk: int
    batch: int


class Executor(Protocol):
    """Owns the cache of some slots, which begins as zeros, and the buffers of one launch. One caller at a time.

    Every method may raise EngineError. Logits are valid until the next launch.

    Attributes:
        limits: see PlanLimits.
    """

    limits: PlanLimits

    def prefill(self, slot: int, start: int, ids: NDArray[np.int64], wanted: int) -> Logits:
        """Launch on one slot: ids [length] go to its rows from `start` on. Return the logits of the token `wanted`."""

    def decode(self, ids: NDArray[np.int64], write_indices: NDArray[np.int64]) -> Logits:
        """Launch on the first slots: ids [batch], one row of each at its write index [batch]. Return all logits."""

    def copy(self, source: int, target: int, rows: int) -> None:
        """Copy the first `rows` rows of a slot over those of another."""

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """Exchange `first_rows` rows of one slot and `second_rows` of another."""

    def clear(self, slot: int, from_row: int) -> None:
        """Make all rows of a slot from `from_row` on zero."""
