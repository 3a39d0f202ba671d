"""Block-wise quantisation of matrices in the format of each runtime. Pure arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from appliance.errors import UnsupportedError
from export.presets import WHOLE_ROW, Weights

_ROWS_AT_ONCE = 2048
_BYTE_BITS = 8
# (blocks, bits, clipping) -> scale and zero point of each block.
_Ranges = Callable[[npt.NDArray[np.float32], int, float], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
# Scales -> the scales that the format holds.
_Rounding = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
# Candidate clippings of a block's range. The least squared error decides at 4 and 5 bits, where clipping the largest
# element is often better. With more bits the gain is below the noise of the measurement.
_CLIPPINGS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
_CLIPPED_BITS = 5


@dataclass(frozen=True)
class Blocks:
    """A quantised matrix of `rows` outputs and `columns` inputs, in the layout of ONNX Runtime's MatMulNBits.

    Attributes:
        packed: uint8 [rows, blocks, block * container bits / 8], low nibble first.
        scales: float32 [rows, blocks].
        zero_points: uint8 [rows, ceil(blocks * bits / 8)], packed like the elements, or None if symmetric.
    """

    packed: npt.NDArray[np.uint8]
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.uint8] | None


def quantise(matrix: npt.NDArray[np.float32], weights: Weights) -> Blocks:
    """Quantise `matrix` [rows, columns] along its columns, a bounded number of rows at a time.

    The last block is padded with zeros when `columns` is not a multiple of the block. Elements of 6 and 5 bits become
    bytes with the zero point of bytes.
    """
    rows, columns = matrix.shape
    blocks = -(-columns // weights.block)
    bits = weights.container_bits
    moved = np.uint8((1 << (bits - 1)) - (1 << (weights.bits - 1)))
    packed = np.empty((rows, blocks, weights.block * bits // 8), np.uint8)
    scales = np.empty((rows, blocks), np.float32)
    zero_points = None if weights.symmetric else np.empty((rows, blocks), np.uint8)
    ranges = _symmetric if weights.symmetric else _asymmetric
    for start in range(0, rows, _ROWS_AT_ONCE):
        part = slice(start, min(start + _ROWS_AT_ONCE, rows))
        padded = np.zeros((part.stop - part.start, blocks * weights.block), np.float32)
        padded[:, :columns] = matrix[part]
        rounded = _shortened if weights.short_scales else _as_it_is
        best = _best_blocks(padded.reshape(-1, blocks, weights.block), weights.bits, ranges, rounded)
        packed[part] = _pack(best.elements + moved, bits)
        scales[part] = best.scale
        if zero_points is not None:
            zero_points[part] = best.zero.astype(np.uint8)
    return Blocks(packed, scales, None if zero_points is None else _pack_zero_points(zero_points, weights.bits))


def holds(matrix: npt.NDArray[np.float32], weights: Weights) -> bool:
    """Whether symmetric blocks of this format hold each element of `matrix` [rows, columns] without loss."""
    rows, columns = matrix.shape
    if columns % weights.block:
        return False
    for start in range(0, rows, _ROWS_AT_ONCE):
        blocks = matrix[start : start + _ROWS_AT_ONCE].reshape(-1, columns // weights.block, weights.block)
        scale, zero = _symmetric(blocks, weights.bits, 1.0)
        if _round(blocks, scale, zero, weights.bits, _as_it_is, refine=False).error.any():
            return False
    return True


@dataclass(frozen=True)
class Signed:
    """A quantised matrix of `rows` outputs and `columns` inputs, with signed levels and positive scales.

    Attributes:
        elements: int8 [rows, columns]; with 4 bits, -8 to 7.
        scales: float32 [rows, blocks], positive, exact in a shorter type.
    """

    elements: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]

    def floats(self) -> npt.NDArray[np.float32]:
        """The dequantised matrix, float32 [rows, columns]: each element times the scale of its block."""
        block = self.elements.shape[1] // self.scales.shape[1]
        products: npt.NDArray[np.float32] = self.elements * self.scales.repeat(block, axis=1)
        return products


def quantise_signed(matrix: npt.NDArray[np.float32], weights: Weights, scale_type: npt.DTypeLike, name: str) -> Signed:
    """Quantise `matrix` [rows, columns] along its columns, with scales that are exact in `scale_type`.

    Raises:
        UnsupportedError: the rows are not whole blocks, which TensorRT requires; `name` is for the message.
    """
    rows, columns = matrix.shape
    block = columns if weights.block == WHOLE_ROW else weights.block
    if columns % block:
        raise UnsupportedError(
            f"the {columns} columns of {name} cannot be divided into blocks of {block}", hint="choose another preset"
        )
    elements = np.empty((rows, columns // block, block), np.int8)
    scales = np.empty((rows, columns // block), np.float32)

    def ranges(
        blocks: npt.NDArray[np.float32], bits: int, clipping: float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        scale, zero = _positive(blocks, bits, clipping)
        # The scale is rounded first, so that rounding the elements compensates for its error.
        return scale.astype(scale_type).astype(np.float32), zero

    for start in range(0, rows, _ROWS_AT_ONCE):
        part = slice(start, min(start + _ROWS_AT_ONCE, rows))
        best = _best_blocks(matrix[part].reshape(-1, columns // block, block), weights.bits, ranges, _as_it_is)
        elements[part] = best.elements.astype(np.int16) - (1 << (weights.bits - 1))
        scales[part] = best.scale.astype(scale_type)
    return Signed(elements.reshape(rows, columns), scales)


@dataclass
class _Candidate:
    """Elements [rows, blocks, block], scales and zero points [rows, blocks], and the squared error of each block."""

    elements: npt.NDArray[np.uint8]
    scale: npt.NDArray[np.float32]
    zero: npt.NDArray[np.float32]
    error: npt.NDArray[np.float32]

    def take_better(self, other: _Candidate) -> None:
        better = other.error < self.error
        for name in ("elements", "scale", "zero", "error"):
            getattr(self, name)[better] = getattr(other, name)[better]


def _as_it_is(scale: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return scale


def _shortened(scale: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round to 16-bit floats, except scales beyond their range and those that they hold less precisely."""
    with np.errstate(over="ignore"):
        halves = scale.astype(np.float16).astype(np.float32)
    return np.where(np.abs(halves - scale) <= np.abs(scale) * np.float32(2**-11), halves, scale)


def _best_blocks(blocks: npt.NDArray[np.float32], bits: int, ranges: _Ranges, rounded: _Rounding) -> _Candidate:
    """Return, for each block [rows, blocks, block], the candidate with the least squared error."""
    if bits > _CLIPPED_BITS:
        return _round(blocks, *ranges(blocks, bits, 1.0), bits, rounded, refine=bits < _BYTE_BITS)
    best: _Candidate | None = None
    for clipping in _CLIPPINGS:
        candidate = _round(blocks, *ranges(blocks, bits, clipping), bits, rounded, refine=True)
        if best is None:
            best = candidate
        else:
            best.take_better(candidate)
        if not best.error.any():
            break
    if best is None:
        raise ValueError("there is no clipping to try")
    return best


def _round(
    blocks: npt.NDArray[np.float32],
    scale: npt.NDArray[np.float32],
    zero: npt.NDArray[np.float32],
    bits: int,
    rounded: _Rounding,
    *,
    refine: bool,
) -> _Candidate:
    """Round to levels; `refine` then replaces the scale by the least-squares scale for these levels."""
    # The scale is rounded first, so that rounding the elements compensates for its error.
    scale = rounded(scale)
    safe = np.where(scale == 0, np.float32(1), scale)
    elements = np.clip(np.rint(blocks / safe[..., None]) + zero[..., None], 0, (1 << bits) - 1)
    centred = elements - zero[..., None]
    if refine:
        squares = np.einsum("rbk,rbk->rb", centred, centred)
        products = np.einsum("rbk,rbk->rb", centred, blocks)
        scale = rounded(np.divide(products, squares, out=scale.copy(), where=squares > 0))
    error = np.square(centred * scale[..., None] - blocks).sum(-1)
    return _Candidate(elements.astype(np.uint8), scale, zero, error)


def _symmetric(
    blocks: npt.NDArray[np.float32], bits: int, clipping: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Map the element of largest magnitude to the lowest level, so that all levels are used (like llama.cpp's Q4_0)."""
    half = 1 << (bits - 1)
    index = np.abs(blocks).argmax(-1)
    extreme = np.take_along_axis(blocks, index[..., None], -1)[..., 0]
    scale = (extreme * np.float32(clipping / -half)).astype(np.float32)
    return scale, np.full_like(scale, half)


def _positive(
    blocks: npt.NDArray[np.float32], bits: int, clipping: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Map the largest magnitude to the highest level, on either side of zero."""
    half = 1 << (bits - 1)
    scale = np.abs(blocks).max(-1) * np.float32(clipping / (half - 1))
    scale[scale == 0] = 1
    return scale, np.full_like(scale, half)


def _asymmetric(
    blocks: npt.NDArray[np.float32], bits: int, clipping: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    levels = (1 << bits) - 1
    low = np.minimum(blocks.min(-1), 0) * np.float32(clipping)
    high = np.maximum(blocks.max(-1), 0) * np.float32(clipping)
    scale = ((high - low) / np.float32(levels)).astype(np.float32)
    zero = np.rint(-low / np.where(scale == 0, np.float32(1), scale))
    return scale, np.clip(zero, 0, levels).astype(np.float32)


def _pack(elements: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    if bits == _BYTE_BITS:
        return elements
    return (elements[..., 0::2] | (elements[..., 1::2] << 4)).astype(np.uint8)


def _pack_zero_points(zero_points: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    if bits == _BYTE_BITS:
        return zero_points
    if zero_points.shape[1] % 2:
        zero_points = np.pad(zero_points, ((0, 0), (0, 1)))
    return _pack(zero_points, bits)
