"""The header of a GGUF file: metadata, and the position of each tensor. It checks every offset and reads no tensor.

Every count is limited before anything is read for it, so that a crafted header cannot take much memory.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The `gguf` package's own reader creates several
Python objects for each of a tokenizer's 150,000 strings (7 s and hundreds of megabytes per file), so only the
package's tables are used here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import Any

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from appliance.errors import IntegrityError, UnsupportedError
from appliance.number import whole

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
# Value types from the format's table, as struct codes; 8 is a string and 9 an array.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING = 8
_ARRAY = 9
# Far above every published model: 260,000 tokens, 520,000 merges, some thousand tensors of at most 4 dimensions.
_MAX_HEADER_BYTES = 64 << 20
_MAX_NAME_BYTES = 256
_MAX_ELEMENTS = 1 << 21
_MAX_PAIRS = 1 << 14
_MAX_TENSORS = 1 << 16
_MAX_DIMENSIONS = 4
_MAX_DIMENSION = 1 << 40
_MAX_ALIGNMENT = 1 << 20


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the file.

    Attributes:
        name: GGUF's name, for example "blk.0.attn_q.weight".
        shape: outermost dimension first, as numpy has it (GGUF writes the innermost first).
        type: element type.
        offset: position of the first byte in the file.
        size_bytes: total bytes of its blocks.
    """

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Header:
    """All content before the tensors' bytes."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, TensorEntry]

    @classmethod
    def from_bytes(cls, file: mmap | bytes) -> Header:
        """Parse the header at the beginning of `file`, which must contain the tensors too.

        Raises:
            IntegrityError: the file is not GGUF or is truncated, or an offset is outside the file.
            UnsupportedError: the version, byte order or an element type is unknown.
        """
        try:
            return _parse(_Cursor(file), len(file))
        except (struct.error, ValueError) as error:
            raise IntegrityError(f"the GGUF file is damaged: {error}", hint="get the files again") from error


class _Cursor:
    """Reads consecutive little-endian values."""

    def __init__(self, file: mmap | bytes) -> None:
        self._file = file
        self._end = min(len(file), _MAX_HEADER_BYTES)
        self.position = 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}")))
        return value

    def count(self, code: str, what: str, most: int) -> int:
        """Read a count of at most `most`; `what` names the count in messages."""
        try:
            return whole(self.scalar(code), least=0, most=most)
        except ValueError as error:
            raise ValueError(f"the number of its {what} {error}") from error

    def name(self) -> str:
        """Read the name of a setting or a tensor, short enough for messages."""
        return self._take(self.count("Q", "bytes of a name", _MAX_NAME_BYTES)).decode()

    def text(self) -> str:
        return self._take(self.scalar("Q")).decode()

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            element, count = self.scalar("I"), self.count("Q", "values in an array", _MAX_ELEMENTS)
            if element in _SCALARS:
                return self._scalars(_SCALARS[element], count)
            if element != _STRING:
                raise UnsupportedError(f"the GGUF file has an array of value type {element}, which is unknown")
            return [self.text() for _ in range(count)]
        if kind not in _SCALARS:
            raise UnsupportedError(f"the GGUF file has a value of type {kind}, which is unknown")
        return self.scalar(_SCALARS[kind])

    def _scalars(self, code: str, count: int) -> list[Any]:
        return list(struct.unpack(f"<{count}{code}", self._take(struct.calcsize(f"<{code}") * count)))

    def _take(self, size_bytes: int) -> bytes:
        end = self.position + size_bytes
        if end > self._end:
            raise ValueError(f"its header reaches beyond {self._end} bytes")
        taken = self._file[self.position : end]
        self.position = end
        return taken


def _parse(cursor: _Cursor, size_bytes: int) -> Header:
    if struct.pack("<I", cursor.scalar("I")) != _MAGIC:
        raise IntegrityError(
            "the file is not GGUF: it does not begin with the GGUF magic bytes",
            hint="get the files again",
        )
    version = cursor.scalar("I")
    if version not in _VERSIONS:
        raise UnsupportedError(f"GGUF version {version} is not supported", hint="supported: little-endian 2 and 3")
    tensor_count = cursor.count("Q", "tensors", _MAX_TENSORS)
    pair_count = cursor.count("Q", "settings", _MAX_PAIRS)
    metadata: dict[str, Any] = {}
    for _ in range(pair_count):
        key = cursor.name()
        if key in metadata:
            raise IntegrityError(f"the GGUF file contains {key} twice", hint="get the files again")
        metadata[key] = cursor.value(cursor.scalar("I"))
    found = [_tensor(cursor) for _ in range(tensor_count)]
    alignment = _alignment(metadata.get("general.alignment", _DEFAULT_ALIGNMENT))
    begin = cursor.position + -cursor.position % alignment
    tensors: dict[str, TensorEntry] = {}
    for name, shape, kind, offset in found:
        entry = TensorEntry(name, shape, kind, begin + offset, _size_bytes(name, shape, kind))
        if name in tensors:
            raise IntegrityError(f"the GGUF file has the tensor {name} twice", hint="get the files again")
        if entry.offset + entry.size_bytes > size_bytes:
            raise IntegrityError(
                f"the GGUF file is truncated: {name} ends beyond the end of the file",
                hint="get the files again",
            )
        tensors[name] = entry
    return Header(metadata, tensors)


def _alignment(value: Any) -> int:
    try:
        return whole(value, least=1, most=_MAX_ALIGNMENT)
    except ValueError as error:
        raise ValueError(f"its alignment {error}") from error


def _tensor(cursor: _Cursor) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int]:
    name = cursor.name()
    dimensions = cursor.count("I", "dimensions of a tensor", _MAX_DIMENSIONS)
    shape = tuple(cursor.count("Q", "elements of a dimension", _MAX_DIMENSION) for _ in range(dimensions))[::-1]
    kind = cursor.scalar("I")
    try:
        return name, shape, GGMLQuantizationType(kind), cursor.scalar("Q")
    except ValueError as error:
        raise UnsupportedError(f"the tensor {name} has the element type {kind}, which is unknown") from error


def _size_bytes(name: str, shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    block, block_bytes = GGML_QUANT_SIZES[kind]
    if not all(shape) or not shape or shape[-1] % block:
        raise IntegrityError(f"the tensor {name} of shape {shape} does not divide into blocks of {block}")
    return math.prod(shape) // block * block_bytes
