"""Keys and values of all slots. This module moves rows; the slot table records which sequence owns them.

There is one buffer for each layer and kind (key or value): [slots, kv_heads, capacity, head_dim]. A slot is
contiguous, so the graph can use one slot or the first n slots without a copy. In main memory, pages that were never
written take no memory, so the capacity may be large.

A graph may arrange the rows inside a block as it likes, so rows are moved in whole blocks. The last block of a copy may
have rows that were not asked for: they are written again before they are read.
"""

from __future__ import annotations

from appliance.artefact import ModelShape
from appliance.engine.memory import Memory, Pieces, Region
from appliance.errors import NoSpaceError


class KVCache:
    """The memory behind the slots.

    Attributes:
        names: each buffer's part of the graph's tensor names: "0.key", "0.value", "1.key", ...
        slots: number of slots.
        dimensions: dimensions of one slot of one buffer: [kv_heads, capacity, head_dim].
    """

    def __init__(self, shape: ModelShape, slots: int, capacity: int, memory: Memory, block_rows: int = 1) -> None:
        """Reserve memory for `slots` times `capacity` tokens; the capacity is a multiple of `block_rows`.

        Raises:
            NoSpaceError: there is not enough memory.
        """
        self.names = tuple(f"{layer}.{kind}" for layer in range(shape.layers) for kind in ("key", "value"))
        self.slots = slots
        self.dimensions = (shape.kv_heads, capacity, shape.head_dim)
        self._row_bytes = shape.cache_bytes_per_token // (len(self.names) * shape.kv_heads)
        self._slot_bytes = shape.kv_heads * capacity * self._row_bytes
        self._block_rows = block_rows
        self._memory = memory
        self._regions: list[Region] = []
        try:
            for _ in self.names:
                self._regions.append(memory.reserve(slots * self._slot_bytes, sparse=True))
            # Temporary memory for a swap: one slot of one buffer.
            self._spare = memory.reserve(self._slot_bytes, sparse=True)
        except NoSpaceError as error:
            for region in self._regions:
                memory.free(region)
            raise NoSpaceError(
                f"not enough memory for a cache of {slots} slots of {capacity} tokens: {error.message}",
                hint=error.hint or "reduce slots or max_context_tokens",
            ) from error

    def addresses(self, slot: int) -> list[int]:
        """For each buffer, the address of a slot. The next slots follow directly."""
        return [region.address + slot * self._slot_bytes for region in self._regions]

    def copy(self, source: int, target: int, rows: int) -> None:
        """Copy the first `rows` rows of slot `source` to slot `target`."""
        for region in self._regions:
            self._memory.copy(self._rows(region, source, 0, rows), region.address + target * self._slot_bytes)

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """Exchange the first `first_rows` rows of slot `first` and the first `second_rows` rows of slot `second`."""
        for region in self._regions:
            ones = self._rows(region, first, 0, first_rows)
            others = self._rows(region, second, 0, second_rows)
            self._memory.copy(others, self._spare.address)
            self._memory.copy(ones, others.address)
            self._memory.copy(self._rows(self._spare, 0, 0, second_rows), ones.address)

    def clear(self, slot: int, from_row: int) -> None:
        """Set all rows of a slot from `from_row` to zero."""
        _, capacity, _ = self.dimensions
        for region in self._regions:
            self._memory.clear(self._rows(region, slot, from_row, capacity - from_row))

    def release(self, slot: int, keep_rows: int) -> None:
        """Free the memory of all rows of `slot` from `keep_rows`, if the memory supports it."""
        _, capacity, _ = self.dimensions
        for region in self._regions:
            self._memory.give_back(region, self._rows(region, slot, keep_rows, capacity - keep_rows))

    def free(self) -> None:
        """Free all memory; the cache cannot be used afterwards."""
        for region in (*self._regions, self._spare):
            self._memory.free(region)

    def _rows(self, region: Region, slot: int, start: int, rows: int) -> Pieces:
        """The blocks that begin within `rows` rows of a slot from `start`: one piece for each head."""
        heads, capacity, _ = self.dimensions
        begin, end = (-(-row // self._block_rows) * self._block_rows for row in (start, start + rows))
        address = region.address + slot * self._slot_bytes + begin * self._row_bytes
        return Pieces(address, heads, (end - begin) * self._row_bytes, capacity * self._row_bytes)
