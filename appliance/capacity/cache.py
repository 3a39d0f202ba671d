"""The size of the KV cache that a runner reserves: the number of slots and the rows per slot."""

from __future__ import annotations

from dataclasses import dataclass


def cache_slots(running: int, *, keeps_prefixes: bool = True) -> int:
    """Number of cache slots for `running` sequences: twice as many if finished sequences keep cached prefixes."""
    return 2 * running if keeps_prefixes else running


@dataclass(frozen=True)
class Cache:
    """Slots of keys and values. On a GPU, all their memory is allocated before the first request.

    Attributes:
        slots: slots for running and finished sequences; see `cache_slots`.
        context_tokens: maximum tokens of prompt plus completion of a sequence.
        spare_rows: further rows of a slot, for the padding rows that a launch writes after a prompt's chunk.
        filling_slots: further slots that pad a batch.
    """

    slots: int
    context_tokens: int
    spare_rows: int = 0
    filling_slots: int = 0

    @classmethod
    def of_plan(cls, slots: int, context_tokens: int, chunk_tokens: int) -> Cache:
        """The cache of a TensorRT plan: launches have few sizes, so padding may exceed the context by up to a chunk."""
        return cls(slots, context_tokens, spare_rows=chunk_tokens)

    @property
    def rows(self) -> int:
        """Rows of one slot."""
        return self.context_tokens + self.spare_rows

    @property
    def all_slots(self) -> int:
        """Number of slots, including the padding slots."""
        return self.slots + self.filling_slots

    def size_bytes(self, bytes_per_token: int) -> int:
        """Memory of all rows of all slots, with `bytes_per_token` bytes per row."""
        return self.all_slots * self.rows * bytes_per_token

    def __str__(self) -> str:
        return f"{self.all_slots:,} slots of {self.rows:,} rows"
