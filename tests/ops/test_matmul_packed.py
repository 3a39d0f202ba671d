"""MatMulPacked against numpy and ONNX Runtime's MatMulNBits; the same bits in any batch and with any threads."""

from __future__ import annotations

from dataclasses import replace
from itertools import product as product_of

import numpy as np
import pytest

from appliance.ops.packing import interleave
from tests.ops.matrices import matmul_node, nbits_node
from tests.ops.reference import Floats, close, product, quantised, silu
from tests.ops.sessions import run, session

# K, N, block: whole panels and parts of one, whole blocks and parts of one, lengths that are no multiple of a vector.
SHAPES = [(128, 64, 32), (896, 200, 128), (136, 1, 64), (24, 65, 16), (40, 130, 40), (1000, 63, 256), (8, 5, 16)]
# For weights of 5 and 6 bits, whose steps are longer.
LONGER = [(128, 64, 32), (896, 200, 128), (160, 1, 64), (96, 130, 96), (992, 63, 256), (32, 5, 32)]


def activations(rows: int, depth: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, depth)).astype(np.float32)


@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize(
    ("shape", "bits"), [*product_of(SHAPES, [8, 4]), *product_of(LONGER, [6, 5]), ((48, 65, 16), 6)]
)
def test_the_product_is_as_in_numpy(ops_library: str, shape: tuple[int, int, int], bits: int, offsets: bool):
    depth, rows, block = shape
    matrix = quantised(np.random.default_rng(0), rows, depth, block, bits, offsets=offsets)
    bias = activations(1, rows)[0]
    for count in (1, 2, 5, 7, 8, 13, 50, 130):
        x = activations(count, depth)
        result = run(matmul_node(matrix, block, bias=bias), {"x": x}, ops_library)
        assert result.shape == (count, rows)
        assert close(result, product(x, matrix, block) + bias), count


@pytest.mark.parametrize("bits", [8, 6, 5, 4])
@pytest.mark.parametrize("rows", [32, 40, 100, 1])
def test_a_gated_product_is_as_in_numpy(ops_library: str, rows: int, bits: int):
    rng = np.random.default_rng(0)
    gate, up = (quantised(rng, rows, 160, 32, bits, offsets=bits == 4) for _ in range(2))
    x = activations(9, 160)
    result = run(matmul_node(interleave(gate, up), 32, rows=2 * rows, gated=1), {"x": x}, ops_library)
    assert result.shape == (9, rows)
    assert close(result, silu(product(x, gate, 32)) * product(x, up, 32))


@pytest.mark.parametrize(("bits", "offsets"), [(8, False), (4, False), (4, True)])
def test_the_product_is_close_to_onnx_runtimes_own(ops_library: str, bits: int, offsets: bool):
    matrix = quantised(np.random.default_rng(0), 96, 512, 64, bits, offsets=offsets)
    x = activations(3, 512)
    ours = run(matmul_node(matrix, 64), {"x": x}, ops_library)
    theirs = run(nbits_node(matrix, 64), {"x": x}, None)
    # Both round the activations to bytes, in blocks; only the order of sums differs.
    assert close(ours, theirs.astype(np.float64), 1e-4)


@pytest.mark.parametrize("bits", [6, 5])
def test_narrower_weights_give_the_same_bits_as_the_same_weights_of_8_bits(ops_library: str, bits: int):
    narrow = quantised(np.random.default_rng(0), 100, 512, 64, bits, offsets=False)
    x = activations(60, 512)
    results = [run(matmul_node(each, 64), {"x": x}, ops_library) for each in (narrow, narrow.held_in(8))]
    assert (results[0] == results[1]).all()


@pytest.mark.parametrize("bits", [8, 6, 5, 4])
@pytest.mark.parametrize("rows", [1, 7, 60])
def test_scales_of_16_bits_give_the_same_bits_as_the_same_scales_of_32(ops_library: str, rows: int, bits: int):
    matrix = quantised(np.random.default_rng(0), 100, 256, 64, bits, offsets=bits == 4)
    matrix.scales[:] = matrix.scales.astype(np.float16)
    # The least and the greatest numbers, and some between zero and the least normal number.
    matrix.scales[0] = [2**-24, 65504, 3 * 2**-20, -0.0]
    node = matmul_node(matrix, 64)
    assert node.constants["scales"].dtype == np.float16
    wide = replace(node, constants={**node.constants, "scales": node.constants["scales"].astype(np.float32)})
    x = activations(rows, 256)
    assert (run(node, {"x": x}, ops_library) == run(wide, {"x": x}, ops_library)).all()


def test_leading_dimensions_are_kept(ops_library: str):
    node = matmul_node(quantised(np.random.default_rng(0), 10, 16, 16, 8, offsets=False), 16)
    assert run(node, {"x": activations(6, 16).reshape(2, 1, 3, 16)}, ops_library).shape == (2, 1, 3, 10)
    assert run(node, {"x": activations(1, 16)[0]}, ops_library).shape == (10,)
    assert run(node, {"x": np.zeros((0, 16), np.float32)}, ops_library).shape == (0, 10)
    assert run(node, {"x": np.zeros((3, 0, 16), np.float32)}, ops_library).shape == (3, 0, 10)


@pytest.mark.parametrize(("bits", "gated"), [(8, 0), (8, 1), (6, 0), (6, 1), (5, 0), (4, 0)])
def test_a_row_has_the_same_bits_in_any_batch_and_with_any_threads(ops_library: str, bits: int, gated: int):
    matrix = quantised(np.random.default_rng(0), 192, 480, 64, bits, offsets=bits == 4)
    node = matmul_node(matrix, 64, gated=gated)
    x = activations(300, 480)
    expected = np.concatenate([run(node, {"x": x[i : i + 1]}, ops_library) for i in range(0, 300, 20)])
    for threads in (1, 2, 3, 5, 8, 64):
        made = session(node, {"x": x}, ops_library, threads=threads)
        for batch in (1, 2, 3, 6, 7, 16, 48, 129, 300):
            for start in range(0, 300, batch):
                kept = [i for i in range(start, min(300, start + batch)) if i % 20 == 0]
                if not kept:
                    continue
                (result,) = made.run(None, {"x": x[start : start + batch]})
                assert (result[[i - start for i in kept]] == expected[[i // 20 for i in kept]]).all()


@pytest.mark.parametrize("bits", [8, 6, 5, 4])
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_a_row_with_nan_or_infinity_spoils_only_itself(ops_library: str, strange: float, bits: int):
    node = matmul_node(quantised(np.random.default_rng(0), 70, 256, 32, bits, offsets=False), 32)
    for rows in (1, 2, 7, 60):
        x = activations(rows, 256)
        clean = run(node, {"x": x}, ops_library)
        x[rows // 2, 100] = strange
        result = run(node, {"x": x}, ops_library)
        assert np.isnan(result[rows // 2]).all()
        others = np.arange(rows) != rows // 2
        assert (result[others] == clean[others]).all()


def test_zeros_and_numbers_close_to_zero_give_zeros(ops_library: str):
    node = matmul_node(quantised(np.random.default_rng(0), 70, 64, 32, 8, offsets=False), 32)
    for value in (0, 1e-31, 1e-42):
        assert not run(node, {"x": np.full((3, 64), value, np.float32)}, ops_library).any()


def test_great_numbers_keep_their_size(ops_library: str):
    matrix = quantised(np.random.default_rng(0), 70, 64, 32, 8, offsets=False)
    x = activations(3, 64) * np.float32(1e36)
    assert close(run(matmul_node(matrix, 32), {"x": x}, ops_library), product(x, matrix, 32))


def test_a_gate_far_from_zero_is_closed_or_open(ops_library: str):
    rng = np.random.default_rng(0)
    gate, up = (quantised(rng, 32, 64, 64, 8, offsets=False) for _ in range(2))
    x = activations(5, 64) * np.float32(1e15)
    result = run(matmul_node(interleave(gate, up), 64, gated=1), {"x": x}, ops_library)
    opened = product(x, gate, 64)
    assert close(result, np.maximum(opened, 0) * product(x, up, 64))
