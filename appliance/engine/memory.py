"""The interface between a runner and the memory of its tensors: main memory or a device's memory, as bytes.

`HostMemory` is in this file. A device's memory has its own file.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from appliance.errors import NoSpaceError


@dataclass(frozen=True)
class Region:
    """A reserved piece of memory.

    Attributes:
        address: address of the first byte.
        size_bytes: size of the region.
    """

    address: int
    size_bytes: int


@dataclass(frozen=True)
class Pieces:
    """Pieces of memory of equal size at equal distances.

    Attributes:
        address: address of the first piece.
        count: number of pieces.
        size_bytes: size of each piece.
        pitch_bytes: distance from the start of a piece to the start of the next.
    """

    address: int
    count: int
    size_bytes: int
    pitch_bytes: int


class Memory(Protocol):
    """Reserves, fills, reads and copies memory. All methods but `reserve` may raise EngineError.

    Operations take effect in the order of the calls, and before a graph that is run afterwards.

    Attributes:
        device_type: ONNX Runtime's name of the device.
    """

    device_type: str

    def reserve(self, size_bytes: int, *, sparse: bool = False) -> Region:
        """Reserve memory for the life of this object. If `sparse`, pages that are never written should take no memory.

        Raises:
            NoSpaceError: there is not enough memory.
        """

    def free(self, region: Region) -> None:
        """Free a whole region."""

    def store(self, address: int, values: NDArray[Any]) -> None:
        """Copy a C-contiguous array to an address."""

    def fetch(self, region: Region, offset: int, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the array at `offset` bytes in a region: in main memory a view, else a copy."""

    def copy(self, source: Pieces, target: int) -> None:
        """Copy pieces to `target`, with the same pitch. Source and target must not overlap."""

    def clear(self, pieces: Pieces) -> None:
        """Fill pieces with zeros."""

    def give_back(self, region: Region, pieces: Pieces) -> None:
        """Free the memory of pieces of a sparse region, if the memory supports it."""


class HostMemory:
    """The machine's main memory. See `Memory`."""

    device_type = "cpu"

    def __init__(self) -> None:
        self._maps: dict[int, mmap.mmap] = {}

    def reserve(self, size_bytes: int, *, sparse: bool = False) -> Region:
        """See `Memory`. A sparse region uses no huge pages: each of its many short pieces would take 2 MB."""
        try:
            memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise NoSpaceError(f"no address space for {size_bytes} bytes: {error.strerror}") from error
        if sparse:
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._maps[address] = memory
        return Region(address, size_bytes)

    def free(self, region: Region) -> None:
        """See `Memory`. Arrays from `fetch` keep their memory."""
        del self._maps[region.address]

    def store(self, address: int, values: NDArray[Any]) -> None:
        """See `Memory`."""
        ctypes.memmove(address, values.__array_interface__["data"][0], values.nbytes)

    def fetch(self, region: Region, offset: int, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """See `Memory`."""
        memory = self._maps[region.address]
        array: NDArray[Any] = np.frombuffer(memory, dtype, math.prod(shape), offset).reshape(shape)
        return array

    def copy(self, source: Pieces, target: int) -> None:
        """See `Memory`."""
        for place in range(0, source.count * source.pitch_bytes, source.pitch_bytes):
            ctypes.memmove(target + place, source.address + place, source.size_bytes)

    def clear(self, pieces: Pieces) -> None:
        """See `Memory`."""
        for place in range(0, pieces.count * pieces.pitch_bytes, pieces.pitch_bytes):
            ctypes.memset(pieces.address + place, 0, pieces.size_bytes)

    def give_back(self, region: Region, pieces: Pieces) -> None:
        """See `Memory`. Frees only whole pages, which then read as zero."""
        memory = self._maps[region.address]
        first = pieces.address - region.address
        for start in range(first, first + pieces.count * pieces.pitch_bytes, pieces.pitch_bytes):
            begin = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            end = (start + pieces.size_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
            if end > begin:
                memory.madvise(mmap.MADV_DONTNEED, begin, end - begin)
