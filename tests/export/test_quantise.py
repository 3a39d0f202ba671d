"""Matrices in blocks: the levels, the containers of ONNX Runtime, and scales that are exact in 16 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize

from export.presets import Weights
from export.quantise import holds, quantise

BLOCK = 32


def matrix(rows: int = 20, columns: int = 96, scale: float = 0.02) -> npt.NDArray[np.float32]:
    return (np.random.default_rng(0).standard_normal((rows, columns)) * scale).astype(np.float32)


def levels(floats: npt.NDArray[np.float32], weights: Weights) -> npt.NDArray[np.int64]:
    """The bytes of the container, around their zero point."""
    return quantise(floats, weights).packed.reshape(floats.shape).astype(np.int64) - 128


@pytest.mark.parametrize("bits", [5, 6, 8])
def test_bytes_hold_the_levels_of_fewer_bits_around_their_own_zero_point(bits: int) -> None:
    found = levels(matrix(), Weights(bits, BLOCK))
    reach = 1 << (bits - 1)
    assert found.min() == -reach
    assert found.max() <= reach - 1
    assert found.max() > reach // 2


@pytest.mark.parametrize("short", [False, True])
def test_each_further_bit_halves_the_error(short: bool) -> None:
    floats = matrix()
    errors = []
    for bits in (5, 6, 8):
        weights = Weights(bits, BLOCK, short_scales=short)
        scales = quantise(floats, weights).scales.repeat(BLOCK, axis=1)
        errors.append(float(np.square(levels(floats, weights) * scales - floats).mean()))
    assert errors[0] > 3 * errors[1] > 3 * 12 * errors[2]


@pytest.mark.parametrize("weights", [Weights(6, BLOCK), Weights(5, BLOCK), Weights(4, BLOCK, symmetric=False)])
def test_short_scales_are_exact_in_16_bits(weights: Weights) -> None:
    given = [
        quantise(matrix(), Weights(weights.bits, BLOCK, weights.symmetric, short)).scales for short in (False, True)
    ]
    exact = [np.array_equal(scales, scales.astype(np.float16).astype(np.float32)) for scales in given]
    assert exact == [False, True]


@pytest.mark.parametrize("scale", [1e-9, 1e8])
def test_scales_that_16_bits_cannot_hold_stay_as_they_are(scale: float) -> None:
    floats = matrix(scale=scale)
    short, long = (quantise(floats, Weights(6, BLOCK, short_scales=short)) for short in (True, False))
    assert (short.scales == long.scales).all()
    assert (short.packed == long.packed).all()


def test_zeros_stay_zeros() -> None:
    found = quantise(np.zeros((3, 64), np.float32), Weights(6, BLOCK, short_scales=True))
    assert (found.packed == 128).all()
    assert not found.scales.any()


@pytest.mark.parametrize("scale", [0.02, 1e-5])
def test_the_blocks_of_q5_0_are_held_without_loss(scale: float) -> None:
    kind = GGMLQuantizationType.Q5_0
    floats = dequantize(quantize(matrix(scale=scale), kind), kind)
    floats[3, :BLOCK] = 0
    weights = Weights(5, BLOCK, short_scales=True)
    assert holds(floats, weights)
    found = quantise(floats, weights)
    assert (levels(floats, weights) * found.scales.repeat(BLOCK, axis=1) == floats).all()
    assert np.array_equal(found.scales, found.scales.astype(np.float16).astype(np.float32))


def test_other_numbers_are_not_held_without_loss() -> None:
    kind = GGMLQuantizationType.Q5_0
    floats = dequantize(quantize(matrix(), kind), kind)
    weights = Weights(5, BLOCK, short_scales=True)
    floats[7, 40] *= np.float32(1.001)
    assert not holds(floats, weights)
    assert not holds(matrix(), weights)
    assert not holds(floats[:, :80], weights)
