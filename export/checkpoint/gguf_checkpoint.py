"""A checkpoint in one GGUF file, memory-mapped. One tensor at a time is dequantised, a few rows at once."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

from appliance.errors import IntegrityError, UnsupportedError
from export.checkpoint.gguf_header import Header, TensorEntry
from export.checkpoint.gguf_names import FREQUENCIES, config_of, dialect_of, hugging_face_name
from export.checkpoint.gguf_rows import heads_in_pairs, published_order

_PLAIN = frozenset({GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16})
_ELEMENTS_AT_ONCE = 1 << 22
# More than half of the elements of any head.
_MOST_DIVISORS = 1 << 10


class GgufCheckpoint:
    """See `Checkpoint`."""

    def __init__(self, path: Path) -> None:
        """Map the file and parse its header.

        Raises:
            IntegrityError: the file is damaged.
            UnsupportedError: an architecture, setting, tensor or element type is unknown.
        """
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise IntegrityError(f"{path.name} is empty", hint="get the files again")
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header = Header.from_bytes(self._file)
        _, dialect = dialect_of(header)
        self.metadata: Mapping[str, Any] = header.metadata
        self.files: Mapping[str, Path] = {}
        self.config: Mapping[str, Any] = config_of(header, self._frequency_divisors(header))
        self._tensors = {
            hugging_face_name(name): entry for name, entry in header.tensors.items() if name != FREQUENCIES
        }
        for name, entry in self._tensors.items():
            _check_type(name, entry.type)
        # Tensor -> its heads, for those whose rows are not in the published order.
        self._in_pairs: dict[str, int] = {}
        if not dialect.matrices_as_published:
            for name, entry in self._tensors.items():
                heads = heads_in_pairs(name, _row_count(entry), self.config)
                if heads is not None:
                    self._in_pairs[name] = heads

    def names(self) -> Sequence[str]:
        """See `Checkpoint`."""
        return sorted(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """See `Checkpoint`."""
        return self._entry(name).shape

    def source_type(self, name: str) -> str:
        """See `Checkpoint`."""
        return self._entry(name).type.name

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """See `Checkpoint`."""
        entry = self._entry(name)
        rows = self._rows(name)
        values = np.empty(entry.shape, np.float32)
        flat = values.reshape(-1, entry.shape[-1])
        step = max(1, _ELEMENTS_AT_ONCE // entry.shape[-1])
        for start in range(0, len(rows), step):
            flat[start : start + step] = dequantize(rows[start : start + step], entry.type)
        return values

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """See `Checkpoint`."""
        entry = self._entry(name)
        if entry.type in _PLAIN:
            raise UnsupportedError(f"{name} has the type {entry.type.name}, which has no quantised blocks")
        return self._rows(name)

    def _frequency_divisors(self, header: Header) -> list[float] | None:
        """The values of the tensor with the rotation's divisors; None if the file has none."""
        entry = header.tensors.get(FREQUENCIES)
        if entry is None:
            return None
        if entry.type != GGMLQuantizationType.F32 or math.prod(entry.shape) > _MOST_DIVISORS:
            raise UnsupportedError(
                f"{FREQUENCIES} has the type {entry.type.name} and {math.prod(entry.shape)} elements, expected at most "
                f"{_MOST_DIVISORS} of the type F32",
                hint="use the model's safetensors files",
            )
        values: list[float] = np.frombuffer(self._file, "<f4", math.prod(entry.shape), entry.offset).tolist()
        return values

    def _rows(self, name: str) -> npt.NDArray[np.uint8]:
        """The bytes of a tensor in the published order, uint8 [rows, bytes per row]: a view of the file or a copy."""
        entry = self._entry(name)
        content = np.frombuffer(self._file, np.uint8, entry.size_bytes, entry.offset)
        stored = content.reshape(_row_count(entry), -1)
        return published_order(stored, self._in_pairs[name]) if name in self._in_pairs else stored

    def _entry(self, name: str) -> TensorEntry:
        if name not in self._tensors:
            raise UnsupportedError(f"the checkpoint has no tensor {name}")
        return self._tensors[name]


def _row_count(entry: TensorEntry) -> int:
    return math.prod(entry.shape[:-1])


def _check_type(name: str, kind: GGMLQuantizationType) -> None:
    if kind in _PLAIN:
        return
    _, size_bytes = GGML_QUANT_SIZES[kind]
    try:
        dequantize(np.zeros((1, size_bytes), np.uint8), kind)
    except NotImplementedError as error:
        raise UnsupportedError(
            f"{name} has the type {kind.name}, which this version cannot read",
            hint="use a GGUF file with another quantisation, for example Q4_K_M or Q8_0",
        ) from error
