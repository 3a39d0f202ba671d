"""The seam between the engine and whatever computes the graph, on the CPU or on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from appliance.engine.logits import Logits


class Runner(Protocol):
    """Computes logits and keeps the keys and values of every slot, in main memory or on a device.

    Every method may raise EngineError; the rows that it was to write are undefined then. Logits are valid until the
    next call.
    """

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """Compute rows `start` and on of one slot from `tokens`; return the last token's logits: one row."""

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits:
        """Compute one row of each of the first slots; return one row of logits for each.

        Args:
            tokens: the i-th is the next token of slot i.
            lengths: the i-th is how many rows slot i holds before this step.
        """

    def copy(self, source: int, target: int, rows: int) -> None:
        """Copy the first `rows` rows of a slot over those of another."""

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """Exchange `first_rows` rows of one slot and `second_rows` of another."""

    def release(self, slot: int, keep_rows: int) -> None:
        """Give back the memory of a slot's rows from `keep_rows` on."""
