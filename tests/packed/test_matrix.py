"""A matrix of the artefact's graph is packed in the fewest bits that hold its values; the numbers stay the same."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from appliance.ops.packing import Quantised
from appliance.packed.matrix import Matrix
from tests.ops.matrices import nbits_node
from tests.ops.reference import dequantised

BLOCK = 32


def quantised(bits: int, *, container: int = 8, offsets: bool = False) -> Quantised:
    """A random matrix [40, 96] whose values have `bits` bits around the zero point of the container."""
    rng = np.random.default_rng(bits)
    reach = 1 << (bits - 1)
    values = rng.integers(-reach, reach, (40, 96)) + (1 << (container - 1))
    scales = rng.uniform(0.001, 0.01, (40, 3)).astype(np.float32)
    zero_points = np.full((40, 3), 1 << (container - 1), np.float32) if offsets else None
    return Quantised(values.astype(np.uint8), scales, zero_points, container)


def read(given: Quantised) -> Matrix:
    """The matrix that is read from a node of ONNX Runtime."""
    node = nbits_node(given, BLOCK)
    made = helper.make_node(node.op, node.inputs, node.outputs, domain=node.domain, **node.attributes)
    matrix = Matrix.of(made, node.constants)
    assert matrix is not None
    return matrix


@pytest.mark.parametrize(("bits", "container"), [(8, 8), (7, 8), (6, 8), (5, 8), (4, 8), (4, 4)])
def test_the_bits_are_the_fewest_that_hold_the_values(bits: int, container: int):
    given = quantised(bits, container=container)
    found = read(given).quantised
    assert found.bits == {7: 8}.get(bits, bits)
    assert (dequantised(found, BLOCK) == dequantised(given, BLOCK)).all()


def test_a_matrix_with_zero_points_keeps_its_bits():
    assert read(quantised(6, offsets=True)).quantised.bits == 8


@pytest.mark.parametrize(("gate", "up"), [(5, 5), (5, 6), (6, 5), (4, 8), (8, 6)])
def test_gate_and_up_have_the_bits_of_the_wider(gate: int, up: int):
    both = read(quantised(gate)).interleaved(read(quantised(up)))
    assert both is not None
    assert both.quantised.bits == max(gate, up)
    found = dequantised(both.quantised, BLOCK)
    assert (found[:32] == dequantised(quantised(gate), BLOCK)[:32]).all()
    assert (found[32:64] == dequantised(quantised(up), BLOCK)[:32]).all()
