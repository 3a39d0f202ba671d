"""Keys and values of all slots in main memory. It moves rows; which rows mean what is the slot table's business.

One buffer a layer and kind, [slots, kv_heads, capacity, head_dim]. A slot is contiguous, so the graph can be given one
slot or the first n without a copy. Pages that were never written cost nothing, so capacity may be generous.
"""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

from appliance.artefact import ModelShape
from appliance.errors import NoSpaceError

Buffer = NDArray[np.generic]


class KVCache:
    """The memory behind the slots.

    Attributes:
        names: the graph's name part of each buffer: "0.key", "0.value", "1.key", ...
    """

    def __init__(self, shape: ModelShape, slots: int, capacity: int) -> None:
        """Reserve address space for `slots` times `capacity` tokens.

        Raises:
            NoSpaceError: the system does not grant it.
        """
        self.names = tuple(f"{layer}.{kind}" for layer in range(shape.layers) for kind in ("key", "value"))
        dtype = np.dtype(shape.cache_dtype)
        dimensions = (slots, shape.kv_heads, capacity, shape.head_dim)
        size = int(np.prod(dimensions)) * dtype.itemsize
        self._row_bytes = shape.head_dim * dtype.itemsize
        try:
            self._memory = [_reserve(size) for _ in self.names]
        except OSError as error:
            raise NoSpaceError(
                f"no address space for {slots} slots of {capacity} tokens: {error.strerror}",
                hint="lower slots or max_context_tokens",
            ) from error
        self._buffers = [np.frombuffer(memory, dtype).reshape(dimensions) for memory in self._memory]

    def view(self, first: int, count: int) -> list[Buffer]:
        """Return each buffer's part for `count` slots from `first` on, [count, kv_heads, capacity, head_dim]."""
        return [buffer[first : first + count] for buffer in self._buffers]

    def copy(self, source: int, target: int, rows: int) -> None:
        """Copy the first `rows` rows of a slot over those of another."""
        for buffer in self._buffers:
            buffer[target, :, :rows] = buffer[source, :, :rows]

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """Exchange `first_rows` rows of one slot and `second_rows` of another."""
        for buffer in self._buffers:
            kept = buffer[second, :, :second_rows].copy()
            buffer[second, :, :first_rows] = buffer[first, :, :first_rows]
            buffer[first, :, :second_rows] = kept

    def release(self, slot: int, keep_rows: int) -> None:
        """Give the memory of all rows of `slot` from `keep_rows` on back to the system; they read as zero then."""
        for memory, buffer in zip(self._memory, self._buffers, strict=True):
            _, heads, capacity, _ = buffer.shape
            for head in range(slot * heads, (slot + 1) * heads):
                begin = -(-(head * capacity + keep_rows) * self._row_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
                end = (head + 1) * capacity * self._row_bytes // mmap.PAGESIZE * mmap.PAGESIZE
                if end > begin:
                    memory.madvise(mmap.MADV_DONTNEED, begin, end - begin)


def _reserve(size: int) -> mmap.mmap:
    """Map zeroed memory page by page: huge pages would make each of a slot's many short pieces cost 2 MB."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory
