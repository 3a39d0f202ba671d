"""Nodes of MatMulPacked."""

from __future__ import annotations

import numpy as np

from appliance.ops.packing import Quantised, pack, pack_bias
from tests.ops.reference import Floats
from tests.ops.sessions import Node


def matmul_node(matrix: Quantised, block: int, *, rows: int = 0, bias: Floats | None = None, gated: int = 0) -> Node:
    """A node with the matrix; `rows` is N where the matrix has padding."""
    packed = pack(matrix)
    constants: dict[str, np.ndarray] = {"packed": packed.packed, "scales": packed.scales}
    if packed.offsets is not None:
        constants["offsets"] = packed.offsets
    if bias is not None:
        constants["bias"] = pack_bias(bias)
    names = ["x", *(name if name in constants else "" for name in ("packed", "scales", "offsets", "bias"))]
    count, depth = matrix.values.shape
    attributes = {"K": depth, "N": rows or count, "bits": matrix.bits, "block_size": block, "gated": gated}
    return Node("MatMulPacked", names, ["y"], attributes, constants)


def nbits_node(matrix: Quantised, block: int) -> Node:
    """ONNX Runtime's own operator with the same matrix, activations rounded to bytes as well."""
    rows, depth = matrix.values.shape
    blocks = -(-depth // block)
    values = np.zeros((rows, blocks * block), np.uint8)
    values[:, :depth] = matrix.values
    constants: dict[str, np.ndarray] = {"scales": matrix.scales.reshape(-1)}
    if matrix.bits == 4:
        values = values[:, ::2] | (values[:, 1::2] << 4)
    constants["b"] = values.reshape(rows, blocks, -1)
    names = ["x", "b", "scales"]
    if matrix.zero_points is not None:
        points = matrix.zero_points.astype(np.uint8)
        if matrix.bits == 4:
            points = np.pad(points, ((0, 0), (0, blocks % 2)))
            points = points[:, ::2] | (points[:, 1::2] << 4)
        constants["zero_points"] = points.reshape(-1)
        names.append("zero_points")
    attributes = {"K": depth, "N": rows, "bits": matrix.bits, "block_size": block, "accuracy_level": 4}
    return Node("MatMulNBits", names, ["y"], attributes, constants, domain="com.microsoft")
