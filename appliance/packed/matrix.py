"""A matrix of ONNX Runtime's MatMulNBits, to be packed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from appliance.errors import UnsupportedError
from appliance.ops.packing import Quantised, interleave

_BYTE_BITS = 8
_NIBBLE_BITS = 4


@dataclass(frozen=True)
class Matrix:
    """A quantised matrix with its bias.

    Attributes:
        quantised: the matrix [N, K], in the fewest bits that hold all its values.
        bias: f32 [N], or None.
        block_size: elements along K that share one scale.
        rows: N, the number of outputs.
    """

    quantised: Quantised
    bias: NDArray[np.float32] | None
    block_size: int
    rows: int

    @classmethod
    def of(cls, node: onnx.NodeProto, tensors: Mapping[str, NDArray[Any]]) -> Matrix | None:
        """Read the matrix of a MatMulNBits node with constant weights; None if it cannot be packed."""
        given = attributes(node)
        rows, columns, bits, block = (int(given[name]) for name in ("N", "K", "bits", "block_size"))
        blocks = -(-columns // block)
        packed, scales, zeros, order, bias = (_optional(node, tensors, place) for place in range(1, 6))
        if packed is None or scales is None or order is not None or bits not in (_NIBBLE_BITS, _BYTE_BITS):
            return None
        zero_points = None if zeros is None else _unpacked(zeros.reshape(rows, -1), bits)[:, :blocks].astype(np.float32)
        values = _unpacked(packed.reshape(rows, -1), bits)[:, :columns]
        with suppress(UnsupportedError):
            quantised = Quantised(values, scales.reshape(rows, blocks), zero_points, bits)
            return cls(quantised.held_in(quantised.least_bits(block)), bias, block, rows)
        return None

    @property
    def columns(self) -> int:
        """K, the number of inputs."""
        return self.quantised.values.shape[1]

    def interleaved(self, up: Matrix) -> Matrix | None:
        """This matrix as the gate, and `up`, as one matrix of a gated layer; None if they cannot be one."""
        if self.bias is not None or up.bias is not None or self.block_size != up.block_size:
            return None
        bits = max(self.quantised.bits, up.quantised.bits)
        with suppress(UnsupportedError):
            both = interleave(self.quantised.held_in(bits), up.quantised.held_in(bits))
            return Matrix(both, None, self.block_size, 2 * self.rows)
        return None


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The node's attributes, by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _optional(node: onnx.NodeProto, tensors: Mapping[str, NDArray[Any]], place: int) -> NDArray[Any] | None:
    """A constant input; None if it is absent."""
    return tensors[node.input[place]] if place < len(node.input) and node.input[place] else None


def _unpacked(content: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """One element per byte; a byte holds two elements of 4 bits, the first in its low half."""
    if bits == _BYTE_BITS:
        return content
    low = (1 << _NIBBLE_BITS) - 1
    nibbles: NDArray[np.uint8] = np.stack([content & low, content >> _NIBBLE_BITS], axis=-1)
    return nibbles.reshape(content.shape[0], -1)
