"""The layouts, against their definition in loops."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.errors import UnsupportedError
from appliance.ops.packing import Quantised, interleave, pack, pack_bias
from tests.ops.reference import quantised


@pytest.mark.parametrize(("bits", "step", "groups"), [(8, 4, 1), (6, 16, 3), (5, 32, 5), (4, 8, 1)])
@pytest.mark.parametrize("rows", [64, 100, 1])
def test_each_weight_is_where_the_layout_says(bits: int, step: int, groups: int, rows: int):
    matrix = quantised(np.random.default_rng(0), rows, 96, 32, bits, offsets=True)
    packed = pack(matrix)
    panels = -(-rows // 64)
    assert packed.packed.shape == (panels, 96 // step, 64 * groups, 4)
    assert packed.packed.dtype == np.uint8
    by_group = packed.packed.reshape(panels, 96 // step, groups, 64, 4)
    found = np.zeros((panels * 64, 96), np.uint8)
    for row in range(panels * 64):
        for column in range(96):
            four, place = column % step // 4, column % 4
            of_row = by_group[row // 64, column // step, :, row % 64]
            if bits == 8:
                found[row, column] = of_row[0, place]
                continue
            low = int(of_row[four // 2, place]) >> (4 * (four % 2)) & 15
            high = int(of_row[-1, place]) >> ((bits - 4) * four) & (1 << (bits - 4)) - 1
            found[row, column] = low | high << 4
    assert (found[:rows] == matrix.values).all()
    assert not found[rows:].any()


def test_scales_and_offsets_lie_by_block():
    matrix = quantised(np.random.default_rng(0), 70, 48, 32, 4, offsets=True)
    packed = pack(matrix)
    assert matrix.zero_points is not None
    assert packed.offsets is not None
    assert packed.scales.shape == packed.offsets.shape == (2, 2, 64)
    for row in range(70):
        assert (packed.scales[row // 64, :, row % 64] == matrix.scales[row]).all()
        assert (packed.offsets[row // 64, :, row % 64] == -matrix.scales[row] * matrix.zero_points[row]).all()
    assert not packed.scales[1, :, 6:].any()


@pytest.mark.parametrize("strange", [1 + 2**-12, 1e-9, 70000, np.nan])
def test_scales_take_16_bits_only_if_no_scale_changes(strange: float):
    matrix = quantised(np.random.default_rng(0), 70, 48, 16, 8, offsets=False)
    matrix.scales[:] = matrix.scales.astype(np.float16)
    assert pack(matrix).scales.dtype == np.float16
    matrix.scales[69, 2] = strange
    assert pack(matrix).scales.dtype == np.float32


def test_a_matrix_without_zero_points_has_no_offsets():
    assert pack(quantised(np.random.default_rng(0), 64, 16, 16, 8, offsets=False)).offsets is None


def test_a_bias_is_padded_to_whole_panels():
    assert pack_bias(np.arange(70, dtype=np.float32)).tolist() == [*range(70), *[0] * 58]


def test_gate_and_up_take_turns():
    rng = np.random.default_rng(0)
    gate, up = (quantised(rng, 40, 16, 16, 8, offsets=False) for _ in range(2))
    both = interleave(gate, up)
    assert both.values.shape == (128, 16)
    assert (both.values[:32] == gate.values[:32]).all()
    assert (both.values[32:64] == up.values[:32]).all()
    assert (both.values[64:72] == gate.values[32:]).all()
    assert (both.values[96:104] == up.values[32:]).all()
    assert not both.scales[72:96].any()


@pytest.mark.parametrize(
    ("values", "scales", "bits"),
    [
        ((64, 18), (64, 1), 8),
        ((64, 20), (64, 1), 4),
        ((64, 16), (63, 1), 8),
        ((64, 16), (64, 1), 7),
        ((64, 24), (64, 1), 6),
        ((64, 48), (64, 1), 5),
        ((0, 16), (0, 1), 8),
    ],
)
def test_what_has_no_layout_is_an_error(values: tuple[int, int], scales: tuple[int, int], bits: int):
    with pytest.raises(UnsupportedError):
        Quantised(np.zeros(values, np.uint8), np.ones(scales, np.float32), None, bits)


def test_a_value_of_too_many_bits_is_an_error():
    with pytest.raises(UnsupportedError):
        Quantised(np.full((64, 16), 16, np.uint8), np.ones((64, 1), np.float32), None, 4)


@pytest.mark.parametrize(
    ("least", "most", "depth", "block", "bits"),
    [
        (-128, 0, 64, 32, 8),
        (0, 32, 64, 32, 8),
        (-32, 31, 64, 32, 6),
        (-17, 3, 64, 32, 6),
        (-16, 15, 64, 32, 5),
        (-16, 15, 64, 16, 6),
        (-16, 15, 48, 48, 6),
        (-16, 15, 72, 16, 8),
        (-8, 7, 64, 16, 4),
        (-8, 7, 8, 32, 4),
    ],
)
def test_a_matrix_is_held_in_the_fewest_bits(least: int, most: int, depth: int, block: int, bits: int):
    values = np.full((3, depth), 128 + least, np.uint8)
    values[1] = 128 + most
    matrix = Quantised(values, np.ones((3, -(-depth // block)), np.float32), None, 8)
    assert matrix.least_bits(block) == bits
    held = matrix.held_in(bits)
    assert held.bits == bits
    assert (held.values.astype(int) - 2 ** (bits - 1) == values.astype(int) - 128).all()
    assert (held.held_in(8).values == values).all()


def test_a_matrix_with_zero_points_keeps_its_bits():
    matrix = quantised(np.random.default_rng(0), 3, 64, 32, 8, offsets=True)
    matrix.values[:] = 128
    assert matrix.least_bits(32) == 8
    with pytest.raises(UnsupportedError):
        matrix.held_in(6)


@pytest.mark.parametrize("value", [128 - 33, 128 + 32])
def test_a_value_that_the_bits_cannot_hold_is_an_error(value: int):
    matrix = Quantised(np.full((1, 64), value, np.uint8), np.ones((1, 2), np.float32), None, 8)
    with pytest.raises(UnsupportedError):
        matrix.held_in(6)


def test_a_gate_of_another_shape_is_an_error():
    rng = np.random.default_rng(0)
    with pytest.raises(UnsupportedError):
        interleave(quantised(rng, 32, 16, 16, 8, offsets=False), quantised(rng, 64, 16, 16, 8, offsets=False))
