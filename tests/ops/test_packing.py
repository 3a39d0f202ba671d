"""The layouts, against their definition in loops."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.errors import UnsupportedError
from appliance.ops.packing import Quantised, interleave, pack, pack_bias
from tests.ops.reference import quantised


@pytest.mark.parametrize(("bits", "step"), [(8, 4), (4, 8)])
@pytest.mark.parametrize("rows", [64, 100, 1])
def test_each_weight_is_where_the_layout_says(bits: int, step: int, rows: int):
    matrix = quantised(np.random.default_rng(0), rows, 48, 16, bits, offsets=True)
    packed = pack(matrix)
    panels = -(-rows // 64)
    assert packed.packed.shape == (panels, 48 // step, 64, 4)
    assert packed.packed.dtype == np.uint8
    found = np.zeros((panels * 64, 48), np.uint8)
    for row in range(panels * 64):
        for column in range(48):
            byte = packed.packed[row // 64, column // step, row % 64, column % 4]
            found[row, column] = byte if bits == 8 else (byte >> (4 if column % 8 >= 4 else 0)) & 15
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
        ((64, 16), (64, 1), 5),
        ((0, 16), (0, 1), 8),
    ],
)
def test_what_has_no_layout_is_an_error(values: tuple[int, int], scales: tuple[int, int], bits: int):
    with pytest.raises(UnsupportedError):
        Quantised(np.zeros(values, np.uint8), np.ones(scales, np.float32), None, bits)


def test_a_value_of_too_many_bits_is_an_error():
    with pytest.raises(UnsupportedError):
        Quantised(np.full((64, 16), 16, np.uint8), np.ones((64, 1), np.float32), None, 4)


def test_a_gate_of_another_shape_is_an_error():
    rng = np.random.default_rng(0)
    with pytest.raises(UnsupportedError):
        interleave(quantised(rng, 32, 16, 16, 8, offsets=False), quantised(rng, 64, 16, 16, 8, offsets=False))
