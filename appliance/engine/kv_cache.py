"""Keys and values of all slots. It moves rows; which rows mean what is the slot table's business.

One buffer a layer and kind, [slots, kv_heads, capacity, head_dim]. A slot is contiguous, so the graph can be given one
slot or the first n without a copy. In main memory, pages that were never written cost nothing, so capacity may be
generous there.
"""

from __future__ import annotations

from appliance.artefact import ModelShape
from appliance.engine.memory import Memory, Pieces, Region
from appliance.errors import NoSpaceError


class KVCache:
    """The memory behind the slots.

    Attributes:
        names: the graph's name part of each buffer: "0.key", "0.value", "1.key", ...
        slots: how many there are.
        dimensions: of one slot of one buffer: [kv_heads, capacity, head_dim].
    """

    def __init__(self, shape: ModelShape, slots: int, capacity: int, memory: Memory) -> None:
        """Reserve memory for `slots` times `capacity` tokens.

        Raises:
            NoSpaceError: there is not so much.
        """
        self.names = tuple(f"{layer}.{kind}" for layer in range(shape.layers) for kind in ("key", "value"))
        self.slots = slots
        self.dimensions = (shape.kv_heads, capacity, shape.head_dim)
        self._row_bytes = shape.cache_bytes_per_token // (len(self.names) * shape.kv_heads)
        self._slot_bytes = shape.kv_heads * capacity * self._row_bytes
        self._memory = memory
        self._regions: list[Region] = []
        try:
            for _ in self.names:
                self._regions.append(memory.reserve(slots * self._slot_bytes, sparse=True))
            # What a swap sets aside: one slot of one buffer.
            self._spare = memory.reserve(self._slot_bytes, sparse=True)
        except NoSpaceError as error:
            for region in self._regions:
                memory.free(region)
            raise NoSpaceError(
                f"not enough memory for a cache of {slots} slots of {capacity} tokens: {error.message}",
                hint=error.hint or "reduce slots or max_context_tokens",
            ) from error

    def addresses(self, slot: int) -> list[int]:
        """Where each buffer's part for a slot begins; the next slots' follow."""
        return [region.address + slot * self._slot_bytes for region in self._regions]

    def copy(self, source: int, target: int, rows: int) -> None:
        """Copy the first `rows` rows of a slot over those of another."""
        for region in self._regions:
            self._memory.copy(self._rows(region, source, 0, rows), region.address + target * self._slot_bytes)

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """Exchange `first_rows` rows of one slot and `second_rows` of another."""
        for region in self._regions:
            ones = self._rows(region, first, 0, first_rows)
            others = self._rows(region, second, 0, second_rows)
            self._memory.copy(others, self._spare.address)
            self._memory.copy(ones, others.address)
            self._memory.copy(self._rows(self._spare, 0, 0, second_rows), ones.address)

    def clear(self, slot: int, from_row: int) -> None:
        """Make all rows of a slot from `from_row` on zero."""
        _, capacity, _ = self.dimensions
        for region in self._regions:
            self._memory.clear(self._rows(region, slot, from_row, capacity - from_row))

    def release(self, slot: int, keep_rows: int) -> None:
        """Give the memory of all rows of `slot` from `keep_rows` on back, where the memory can."""
        _, capacity, _ = self.dimensions
        for region in self._regions:
            self._memory.give_back(region, self._rows(region, slot, keep_rows, capacity - keep_rows))

    def free(self) -> None:
        """Give all memory back; the cache is of no use then."""
        for region in (*self._regions, self._spare):
            self._memory.free(region)

    def _rows(self, region: Region, slot: int, start: int, rows: int) -> Pieces:
        """Rows of a slot, from `start` on: a piece a head."""
        heads, capacity, _ = self.dimensions
        address = region.address + slot * self._slot_bytes + start * self._row_bytes
        return Pieces(address, heads, rows * self._row_bytes, capacity * self._row_bytes)
