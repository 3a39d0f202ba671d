"""The header of a GGUF file: metadata and where each tensor lies. Every offset is checked; no tensor is read.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The `gguf` package's own reader makes several Python
objects for each of a tokenizer's 150,000 strings (7 s and hundreds of megabytes a file), so only its tables serve here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import Any

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from appliance.errors import IntegrityError, UnsupportedError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
# Value types of the format's table, as struct codes; 8 is a string and 9 an array.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING = 8
_ARRAY = 9


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the file.

    Attributes:
        name: GGUF's name, for example "blk.0.attn_q.weight".
        shape: outermost dimension first, as numpy has it (GGUF writes the innermost first).
        type: how the elements are held.
        offset: first byte, from the beginning of the file.
        size_bytes: bytes of all its blocks.
    """

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Header:
    """All that precedes the tensors' bytes."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, TensorEntry]

    @classmethod
    def from_bytes(cls, file: mmap | bytes) -> Header:
        """Parse the header at the beginning of `file`, which must hold the tensors too.

        Raises:
            IntegrityError: not a GGUF file, cut short, or it points outside itself.
            UnsupportedError: a version, byte order or element type that is not known.
        """
        try:
            return _parse(_Cursor(file), len(file))
        except (struct.error, UnicodeDecodeError) as error:
            raise IntegrityError(f"the GGUF file is damaged: {error}", hint="pull the model again") from error


class _Cursor:
    """Reads little-endian values one after another."""

    def __init__(self, file: mmap | bytes) -> None:
        self._file = file
        self.position = 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._file, self.position)
        self.position += struct.calcsize(f"<{code}")
        return value

    def text(self) -> str:
        size = self.scalar("Q")
        end = self.position + size
        if end > len(self._file):
            raise IntegrityError(
                "the GGUF file is damaged: a string reaches beyond its end", hint="pull the model again"
            )
        value = self._file[self.position : end].decode()
        self.position = end
        return value

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            element, count = self.scalar("I"), self.scalar("Q")
            if element in _SCALARS:
                return self._scalars(_SCALARS[element], count)
            if element != _STRING:
                raise UnsupportedError(f"the GGUF file has an array of value type {element}, which is not known")
            # Each string takes at least its 8-byte length, so a false count ends at the file's end, not in memory.
            return [self.text() for _ in range(count)]
        if kind not in _SCALARS:
            raise UnsupportedError(f"the GGUF file has a value of type {kind}, which is not known")
        return self.scalar(_SCALARS[kind])

    def _scalars(self, code: str, count: int) -> list[Any]:
        size = struct.calcsize(f"<{code}") * count
        if self.position + size > len(self._file):
            raise IntegrityError(
                "the GGUF file is damaged: an array reaches beyond its end", hint="pull the model again"
            )
        values = list(struct.unpack_from(f"<{count}{code}", self._file, self.position))
        self.position += size
        return values


def _parse(cursor: _Cursor, size_bytes: int) -> Header:
    if struct.pack("<I", cursor.scalar("I")) != _MAGIC:
        raise IntegrityError("the file is not GGUF: it does not begin with its mark", hint="pull the model again")
    version = cursor.scalar("I")
    if version not in _VERSIONS:
        raise UnsupportedError(f"GGUF version {version} is not supported", hint="supported: little-endian 2 and 3")
    tensor_count, pair_count = cursor.scalar("Q"), cursor.scalar("Q")
    metadata: dict[str, Any] = {}
    for _ in range(pair_count):
        key = cursor.text()
        if key in metadata:
            raise IntegrityError(f"the GGUF file states {key} twice", hint="pull the model again")
        metadata[key] = cursor.value(cursor.scalar("I"))
    found = [_tensor(cursor) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0:
        raise IntegrityError(f"the GGUF file's alignment is {alignment!r}")
    begin = cursor.position + -cursor.position % alignment
    tensors: dict[str, TensorEntry] = {}
    for name, shape, kind, offset in found:
        entry = TensorEntry(name, shape, kind, begin + offset, _size_bytes(name, shape, kind))
        if name in tensors:
            raise IntegrityError(f"the GGUF file has the tensor {name} twice", hint="pull the model again")
        if entry.offset + entry.size_bytes > size_bytes:
            raise IntegrityError(
                f"the GGUF file is cut short: {name} reaches beyond its end", hint="pull the model again"
            )
        tensors[name] = entry
    return Header(metadata, tensors)


def _tensor(cursor: _Cursor) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int]:
    name = cursor.text()
    dimensions = cursor.scalar("I")
    shape = tuple(cursor.scalar("Q") for _ in range(dimensions))[::-1]
    kind = cursor.scalar("I")
    try:
        return name, shape, GGMLQuantizationType(kind), cursor.scalar("Q")
    except ValueError as error:
        raise UnsupportedError(f"the tensor {name} has the element type {kind}, which is not known") from error


def _size_bytes(name: str, shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    block, block_bytes = GGML_QUANT_SIZES[kind]
    if not shape or shape[-1] % block:
        raise IntegrityError(f"the tensor {name} of shape {shape} does not divide into blocks of {block}")
    elements = 1
    for dimension in shape:
        elements *= dimension
    return elements // block * block_bytes
