"""The tensors of a graph: reads those of an artefact from its mapped file, writes those of the packed form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from typing_extensions import Self

# ONNX Runtime maps the file into memory; a mapping begins at a page boundary.
_ALIGNMENT_BYTES = 4096
# ONNX Runtime reads small tensors, such as shapes, while it loads the graph, so they stay in the graph file.
_INLINE_BYTES = 1024
_LARGE_BYTES = 64 << 20


class GraphTensors(Mapping[str, NDArray[Any]]):
    """The initialisers of a checked graph, by name. External tensors are views of the mapped file."""

    def __init__(self, graph: onnx.GraphProto, folder: Path) -> None:
        """Map the files that the graph names; the caller has checked the graph (`check_graph`)."""
        self._folder = folder
        self._initialisers = {tensor.name: tensor for tensor in graph.initializer}
        self._files: dict[str, NDArray[np.uint8]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the array; it is read-only."""
        tensor = self._initialisers[name]
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            return numpy_helper.to_array(tensor)
        where = {entry.key: entry.value for entry in tensor.external_data}
        location, offset = where["location"], int(where.get("offset", 0))
        if location not in self._files:
            self._files[location] = np.memmap(self._folder / location, np.uint8, "r")
        content = self._files[location][offset : offset + int(where["length"])]
        return content.view(helper.tensor_dtype_to_np_dtype(tensor.data_type)).reshape(tuple(tensor.dims))

    def __iter__(self) -> Iterator[str]:
        return iter(self._initialisers)

    def __len__(self) -> int:
        return len(self._initialisers)


class TensorFile:
    """Appends tensors to a file and keeps the initialisers that refer to them; at most one tensor is in memory.

    A file that has grown large is continued in further files, whose names end with a number: the digests of several
    files are computed at the same time.

    Attributes:
        initialisers: those of all tensors so far, in order.
        paths: the files so far.
    """

    def __init__(self, path: Path, large_bytes: int = _LARGE_BYTES) -> None:
        """Create the first file.

        Args:
            path: its path.
            large_bytes: size from which a file gets no further tensor.
        """
        self.initialisers: dict[str, onnx.TensorProto] = {}
        self.paths = [path]
        self._large_bytes = large_bytes
        self._file = path.open("xb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, name: str, array: NDArray[Any]) -> str:
        """Write `array` at the next page, unless a tensor `name` exists; returns the name."""
        if name in self.initialisers:
            return name
        tensor = onnx.TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
        if array.nbytes <= _INLINE_BYTES:
            tensor.raw_data = array.tobytes()
        else:
            self._continue_if_large()
            self._file.write(bytes(-self._file.tell() % _ALIGNMENT_BYTES))
            place = {"location": self.paths[-1].name, "offset": self._file.tell(), "length": array.nbytes}
            self._file.write(np.ascontiguousarray(array).data)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
        self.initialisers[name] = tensor
        return name

    def _continue_if_large(self) -> None:
        if self._file.tell() >= self._large_bytes:
            self._file.close()
            first = self.paths[0]
            self.paths.append(first.with_name(f"{first.name}.{len(self.paths)}"))
            self._file = self.paths[-1].open("xb")
