"""The cache of keys and values as a runner reserves it: how many slots, and how many rows each."""

from __future__ import annotations

from dataclasses import dataclass


def cache_slots(running: int, *, keeps_prefixes: bool = True) -> int:
    """Slots of the cache where so many sequences run: as many again, for the prefixes that finished ones leave."""
    return 2 * running if keeps_prefixes else running


@dataclass(frozen=True)
class Cache:
    """Slots of keys and values. A GPU's memory for them is taken whole, before the first request.

    Attributes:
        slots: that sequences may be in, finished ones too; see `cache_slots`.
        context_tokens: longest prompt plus completion of a sequence.
        spare_rows: rows of a slot behind those, for what a launch writes beyond the end of a prompt's chunk.
        filling_slots: further slots, which fill a batch up.
    """

    slots: int
    context_tokens: int
    spare_rows: int = 0
    filling_slots: int = 0

    @classmethod
    def of_plan(cls, slots: int, context_tokens: int, chunk_tokens: int) -> Cache:
        """The cache of a TensorRT plan: launches have few sizes, so one may end up to a chunk behind the context."""
        return cls(slots, context_tokens, spare_rows=chunk_tokens)

    @property
    def rows(self) -> int:
        """Of one slot."""
        return self.context_tokens + self.spare_rows

    @property
    def all_slots(self) -> int:
        """Slots that take memory."""
        return self.slots + self.filling_slots

    def size_bytes(self, bytes_per_token: int) -> int:
        """What all rows of all slots take, with so many bytes a row."""
        return self.all_slots * self.rows * bytes_per_token

    def __str__(self) -> str:
        return f"{self.all_slots:,} slots of {self.rows:,} rows"
