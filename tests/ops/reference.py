"""What the operators compute, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appliance.ops.packing import Quantised

Floats = NDArray[np.float32]


def quantised(rng: np.random.Generator, rows: int, depth: int, block: int, bits: int, *, offsets: bool) -> Quantised:
    """A random matrix."""
    blocks = -(-depth // block)
    return Quantised(
        values=rng.integers(0, 2**bits, (rows, depth), dtype=np.uint8),
        scales=rng.uniform(0.001, 0.01, (rows, blocks)).astype(np.float32),
        zero_points=rng.integers(0, 2**bits, (rows, blocks)).astype(np.float32) if offsets else None,
        bits=bits,
    )


def dequantised(matrix: Quantised, block: int) -> NDArray[np.float64]:
    """The weights as floats, [N, K]."""
    zero_points = np.float32(2 ** (matrix.bits - 1)) if matrix.zero_points is None else matrix.zero_points
    depth = matrix.values.shape[1]
    of_columns = np.arange(depth) // block
    scales = matrix.scales.astype(np.float64)[:, of_columns]
    points = np.broadcast_to(zero_points, matrix.scales.shape).astype(np.float64)[:, of_columns]
    return scales * (matrix.values - points)


def rounded(activations: Floats, block: int) -> NDArray[np.float64]:
    """Activations as the operators round them: to 255 levels in each block of a row."""
    result = np.zeros(activations.shape, np.float64)
    for start in range(0, activations.shape[1], block):
        part = activations[:, start : start + block]
        magnitude = np.abs(part).max(1, keepdims=True)
        zero = magnitude < np.float32(1e-30)
        factor = np.where(zero, np.float32(0), np.float32(127) / np.where(zero, np.float32(1), magnitude))
        levels = np.rint(part * factor).clip(-128, 127).astype(np.float64)
        result[:, start : start + block] = levels * (magnitude / np.float32(127)).astype(np.float64)
    return result


def product(activations: Floats, matrix: Quantised, block: int) -> NDArray[np.float64]:
    """MatMulPacked without bias."""
    return rounded(activations, block) @ dequantised(matrix, block).T


def silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gate: x / (1 + e^-x)."""
    return x / (1 + np.exp(-x))


def close(result: Floats, expected: NDArray[np.float64], tolerance: float = 1e-5) -> bool:
    """Whether the results differ by no more than a few roundings of the greatest one."""
    return bool(np.abs(result - expected).max(initial=0) <= tolerance * max(np.abs(expected).max(initial=0), 1e-30))


def rotated(vectors: Floats, cosines: Floats, sines: Floats) -> NDArray[np.float64]:
    """Rotary embedding, halves against each other: [rows, heads, dim] with [rows, dim / 2]."""
    half = vectors.shape[-1] // 2
    first, second = vectors[..., :half].astype(np.float64), vectors[..., half:].astype(np.float64)
    cos, sin = cosines[:, None].astype(np.float64), sines[:, None].astype(np.float64)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], -1)


def attention(
    query: NDArray[np.float64], keys: NDArray[np.float64], values: NDArray[np.float64], scale: float
) -> NDArray[np.float64]:
    """Causal attention of the last rows: query [rows, heads, dim], keys and values [positions, groups, dim]."""
    rows, heads, _ = query.shape
    positions, groups, _ = keys.shape
    out = np.zeros(query.shape)
    for head in range(heads):
        group = head // (heads // groups)
        for row in range(rows):
            seen = positions - rows + row + 1
            scores = keys[:seen, group] @ query[row, head] * scale
            weights = np.exp(scores - scores.max())
            out[row, head] = weights / weights.sum() @ values[:seen, group]
    return out
