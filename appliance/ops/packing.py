"""Quantised matrices in the layouts that the operators read (appliance/ops/source/packing.h).

Shapes: N rows and K columns of a matrix; `blocks` scales in a row; `panels` of 64 rows, the last one padded with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from appliance.errors import UnsupportedError

PANEL_ROWS = 64
_Element = TypeVar("_Element", bound=np.generic)
_GATE_ROWS = PANEL_ROWS // 2
# By the bits of a weight: columns whose weights one step of a kernel reads. K and the blocks are multiples.
DEPTH_STEPS = {8: 4, 6: 16, 5: 32, 4: 8}
_BYTE_BITS, _NIBBLE_BITS = 8, 4


@dataclass(frozen=True)
class Quantised:
    """A matrix of unsigned integers: weight = scale * (value - zero point).

    Attributes:
        values: u8 [N, K], each below 2 ** bits.
        scales: f32 [N, blocks], of K / blocks columns each; the last block may be shorter.
        zero_points: f32 [N, blocks]; None if all are 2 ** (bits - 1).
        bits: 8, 6, 5 or 4.
    """

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.float32] | None
    bits: int

    def __post_init__(self) -> None:
        if self.bits not in DEPTH_STEPS:
            raise UnsupportedError(f"a matrix of {self.bits} bits cannot be packed", hint="use 4, 5, 6 or 8 bits")
        shape = self.values.shape
        if len(shape) != 2 or shape[1] % DEPTH_STEPS[self.bits] or 0 in shape:  # noqa: PLR2004
            step = DEPTH_STEPS[self.bits]
            raise UnsupportedError(f"a matrix of shape {shape} cannot be packed", hint=f"K needs a multiple of {step}")
        if self.scales.ndim != 2 or len(self.scales) != shape[0]:  # noqa: PLR2004
            raise UnsupportedError(f"scales of shape {self.scales.shape} do not fit a matrix of shape {shape}")
        if self.zero_points is not None and self.zero_points.shape != self.scales.shape:
            raise UnsupportedError(
                f"zero points of shape {self.zero_points.shape} do not fit {self.scales.shape} scales"
            )
        if int(self.values.max()) >> self.bits:
            raise UnsupportedError(f"a value of the matrix has more than {self.bits} bits")

    def least_bits(self, block: int) -> int:
        """The fewest bits, at most `bits`, with which `held_in` can hold the matrix in blocks of `block` columns."""
        if self.zero_points is not None:
            return self.bits
        zero = 1 << (self.bits - 1)
        reach = max(zero - int(self.values.min()), int(self.values.max()) + 1 - zero)
        columns = self.values.shape[1]
        return min(
            bits
            for bits, step in DEPTH_STEPS.items()
            if bits == self.bits or (reach <= 1 << (bits - 1) and not columns % step and not min(block, columns) % step)
        )

    def held_in(self, bits: int) -> Quantised:
        """The same matrix with other bits: the zero point, and each value with it, is moved.

        Raises:
            UnsupportedError: a value, the zero points or the shape do not allow it.
        """
        if bits == self.bits:
            return self
        if self.zero_points is not None:
            raise UnsupportedError("a matrix with zero points cannot be held in other bits")
        moved = self.values.astype(np.int16) + ((1 << (bits - 1)) - (1 << (self.bits - 1)))
        if moved.min() < 0:
            raise UnsupportedError(f"a value of the matrix has more than {bits} bits")
        return Quantised(moved.astype(np.uint8), self.scales, None, bits)


@dataclass(frozen=True)
class Packed:
    """The inputs of MatMulPacked and RescoredHead that hold one matrix.

    Attributes:
        packed: u8 [panels, steps, 64 * groups, 4]. A step is 4, 16, 32 or 8 columns of 8, 6, 5 or 4 bits, and has 1,
            3, 5 or 1 groups of [64, 4].
        scales: [panels, blocks, 64], f16 if these are the same numbers, else f32.
        offsets: f32 [panels, blocks, 64], -scale * zero point; None if all zero points are 2 ** (bits - 1).
    """

    packed: NDArray[np.uint8]
    scales: NDArray[np.float16] | NDArray[np.float32]
    offsets: NDArray[np.float32] | None


def pack(matrix: Quantised) -> Packed:
    """The matrix in panels."""
    zero_points = matrix.zero_points
    return Packed(
        packed=_pack_values(matrix),
        scales=_shortened(_in_panels(matrix.scales).transpose(0, 2, 1).copy()),
        offsets=None if zero_points is None else _in_panels(-matrix.scales * zero_points).transpose(0, 2, 1).copy(),
    )


def _shortened(scales: NDArray[np.float32]) -> NDArray[np.float16] | NDArray[np.float32]:
    with np.errstate(over="ignore"):
        halves = scales.astype(np.float16)
    return halves if np.array_equal(halves.astype(np.float32), scales) else scales


def pack_bias(bias: NDArray[np.float32]) -> NDArray[np.float32]:
    """The bias [N] as f32 [panels * 64]."""
    return _in_panels(bias).reshape(-1)


def interleave(gate: Quantised, up: Quantised) -> Quantised:
    """One matrix [2 * N, K] for MatMulPacked with gated=1, of two matrices [N, K].

    32 rows of the gate and 32 rows of up take turns. If N is no multiple of 32, rows of zeros follow the last ones of
    both, so that the result has 2 * (N rounded up) rows; the attribute N of the node stays 2 * N.

    Raises:
        UnsupportedError: the matrices differ in shape, bits or kind of zero points.
    """
    alike = gate.values.shape == up.values.shape and gate.scales.shape == up.scales.shape and gate.bits == up.bits
    if not alike or (gate.zero_points is None) != (up.zero_points is None):
        raise UnsupportedError("gate and up differ in their shapes, blocks, bits or zero points")
    zero_points = None
    if gate.zero_points is not None and up.zero_points is not None:
        zero_points = interleave_rows(gate.zero_points, up.zero_points)
    return Quantised(
        values=interleave_rows(gate.values, up.values),
        scales=interleave_rows(gate.scales, up.scales),
        zero_points=zero_points,
        bits=gate.bits,
    )


def interleave_rows(gate: NDArray[_Element], up: NDArray[_Element]) -> NDArray[_Element]:
    """Arrays [N, ...] as one [2 * (N rounded up to 32), ...]: 32 rows of the gate, 32 rows of up, and so on."""
    pieces = [_padded(part, _GATE_ROWS).reshape(-1, _GATE_ROWS, *part.shape[1:]) for part in (gate, up)]
    rows: NDArray[_Element] = np.concatenate(pieces, axis=1).reshape(-1, *gate.shape[1:])
    return rows


def _pack_values(matrix: Quantised) -> NDArray[np.uint8]:
    panels = _in_panels(matrix.values)  # [panels, 64, K]
    count, rows, depth = panels.shape
    step = DEPTH_STEPS[matrix.bits]
    # [panels, steps, fours of columns, 64, 4]
    fours = panels.reshape(count, rows, depth // step, step // 4, 4).transpose(0, 2, 3, 1, 4)
    groups = fours if matrix.bits == _BYTE_BITS else _nibbles(fours)
    if _NIBBLE_BITS < matrix.bits < _BYTE_BITS:
        groups = np.concatenate([groups, _upper_bits(fours, matrix.bits - _NIBBLE_BITS)], axis=2)
    return np.ascontiguousarray(groups).reshape(count, depth // step, -1, 4)


def _nibbles(fours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The low 4 bits of the weights [panels, steps, fours, 64, 4]: two fours in one group."""
    low = np.bitwise_and(fours, 15)
    return np.bitwise_or(low[:, :, 0::2], np.left_shift(low[:, :, 1::2], _NIBBLE_BITS)).astype(np.uint8)


def _upper_bits(fours: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """The upper bits of a step's weights [panels, steps, fours, 64, 4] as one group: the first four columns lowest."""
    group = np.zeros((*fours.shape[:2], 1, *fours.shape[3:]), np.uint8)
    for index in range(fours.shape[2]):
        upper = np.right_shift(fours[:, :, index], _NIBBLE_BITS)
        group[:, :, 0] |= np.left_shift(upper, bits * index).astype(np.uint8)
    return group


def _in_panels(rows: NDArray[_Element]) -> NDArray[_Element]:
    """[N, ...] as [panels, 64, ...]."""
    padded = _padded(rows, PANEL_ROWS)
    return padded.reshape(-1, PANEL_ROWS, *rows.shape[1:])


def _padded(rows: NDArray[_Element], multiple: int) -> NDArray[_Element]:
    missing = -len(rows) % multiple
    padded: NDArray[_Element] = np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])
    return padded
