"""The external data file of a graph, written sequentially so that at most one tensor is in memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

if TYPE_CHECKING:
    from typing_extensions import Self

# ONNX Runtime maps the file into memory; a mapping begins at a page boundary.
_ALIGNMENT_BYTES = 4096
# Shape inference reads small tensors (shapes, sizes) while it loads the graph, so they stay in the graph file.
_INLINE_BYTES = 1024
_NIBBLE_BITS = 4


class DataFile:
    """Appends tensors and returns initialisers that refer to them."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._file = path.open("xb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, name: str, array: npt.NDArray[np.generic]) -> ir.Value:
        """Write `array` at the next page and return its initialiser `name`; a small array stays in the initialiser."""
        dtype = ir.DataType.from_numpy(array.dtype)
        shape = ir.Shape(array.shape)
        if array.nbytes <= _INLINE_BYTES:
            return ir.Value(name=name, type=ir.TensorType(dtype), shape=shape, const_value=ir.tensor(array, name=name))
        position = self._file.tell()
        self._file.write(b"\0" * (-position % _ALIGNMENT_BYTES))
        offset = self._file.tell()
        content = _pack(array) if dtype.bitwidth == _NIBBLE_BITS else np.ascontiguousarray(array).view(np.uint8)
        self._file.write(content.data)
        tensor = ir.ExternalTensor(self._name, offset, content.nbytes, dtype, shape=shape, name=name)
        return ir.Value(name=name, type=ir.TensorType(dtype), shape=shape, const_value=tensor)


def _pack(array: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Pack two elements into a byte, the first in the low half, as ONNX stores 4-bit integers."""
    nibbles = array.astype(np.int8).reshape(-1).view(np.uint8) & 0xF
    return (nibbles[0::2] | (nibbles[1::2] << 4)).astype(np.uint8)
