"""Memory that a runner's tensors live in: the machine's own, or a device's. It knows no tensors, only bytes.

The seam between a runner and a device. `HostMemory` is here; a device's memory has a file of its own.
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
        address: of its first byte.
        size_bytes: how long it is.
    """

    address: int
    size_bytes: int


@dataclass(frozen=True)
class Pieces:
    """Equal pieces of memory at equal distances.

    Attributes:
        address: of the first one.
        count: how many there are.
        size_bytes: of each.
        pitch_bytes: from the beginning of one to the beginning of the next.
    """

    address: int
    count: int
    size_bytes: int
    pitch_bytes: int


class Memory(Protocol):
    """Reserves, fills, reads and copies memory. All methods but `reserve` may raise EngineError.

    What is asked for happens in the order of the calls, and before a graph that runs afterwards.

    Attributes:
        device_type: ONNX Runtime's name for where it is.
    """

    device_type: str

    def reserve(self, size_bytes: int, *, sparse: bool = False) -> Region:
        """Reserve memory until this object goes; if `sparse`, what is never written should cost nothing.

        Raises:
            NoSpaceError: there is not so much.
        """

    def free(self, region: Region) -> None:
        """Give a whole region back."""

    def store(self, address: int, values: NDArray[Any]) -> None:
        """Copy an array, C-contiguous, to an address."""

    def fetch(self, region: Region, offset: int, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the array that begins `offset` bytes into a region: the memory itself where it is main memory."""

    def copy(self, source: Pieces, target: int) -> None:
        """Copy pieces to a place that does not overlap with theirs, where they are at the same distances."""

    def clear(self, pieces: Pieces) -> None:
        """Fill pieces with zeros."""

    def give_back(self, region: Region, pieces: Pieces) -> None:
        """Give the memory of pieces of a sparse region back to the system where that is possible."""


class HostMemory:
    """The machine's main memory. See `Memory`."""

    device_type = "cpu"

    def __init__(self) -> None:
        self._maps: dict[int, mmap.mmap] = {}

    def reserve(self, size_bytes: int, *, sparse: bool = False) -> Region:
        """See `Memory`. With huge pages, each of a sparse region's many short pieces would cost 2 MB."""
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
        """See `Memory`. Arrays that were fetched keep their memory."""
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
        """See `Memory`. Only whole pages are given back; they read as zero then."""
        memory = self._maps[region.address]
        first = pieces.address - region.address
        for start in range(first, first + pieces.count * pieces.pitch_bytes, pieces.pitch_bytes):
            begin = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            end = (start + pieces.size_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
            if end > begin:
                memory.madvise(mmap.MADV_DONTNEED, begin, end - begin)
