"""RescoredHead against numpy and against ONNX Runtime's TopK, with ties, NaN and heads smaller than a panel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.ops.packing import pack
from tests.ops.reference import Floats, close, product, quantised
from tests.ops.sessions import Node, run, session

BLOCK = 32


class Head:
    """A head with random weights."""

    def __init__(
        self, rows: int, depth: int, tokens: int, *, table_block: int = 16, equal: bool = False, halves: bool = False
    ) -> None:
        rng = np.random.default_rng(3)
        self.coarse = quantised(rng, rows, depth, BLOCK, 4, offsets=not equal)
        if halves:
            self.coarse.scales[:] = self.coarse.scales.astype(np.float16)
        if equal:
            self.coarse.values[:] = self.coarse.values[0]
            self.coarse.scales[:] = self.coarse.scales[0]
        self.fine = quantised(rng, rows, depth, table_block, 8, offsets=False)
        self.tokens = tokens
        self.table_block = table_block

    def node(self) -> Node:
        """The operator."""
        packed = pack(self.coarse)
        rows, depth = self.coarse.values.shape
        constants = {"packed": packed.packed, "scales": packed.scales}
        if packed.offsets is not None:
            constants["offsets"] = packed.offsets
        constants |= {"table": self.fine.values, "table_scales": self.fine.scales}
        names = ["x", "packed", "scales", "offsets" if packed.offsets is not None else "", "table", "table_scales"]
        attributes = {"K": depth, "N": rows, "block_size": BLOCK, "tokens": self.tokens}
        attributes["table_block"] = self.table_block
        return Node("RescoredHead", names, ["logits"], attributes, constants)

    def coarse_logits(self, x: Floats) -> NDArray[np.float64]:
        """What the coarse matrix gives."""
        return product(x, self.coarse, BLOCK)

    def fine_logits(self, x: Floats) -> NDArray[np.float64]:
        """What the table gives."""
        blocks = np.arange(self.fine.values.shape[1]) // self.table_block
        weights = (self.fine.values - 128.0) * self.fine.scales.astype(np.float64)[:, blocks]
        return x.astype(np.float64) @ weights.T

    def coarse_of_operator(self, x: Floats, library: str) -> Floats:
        """The coarse logits, bit by bit as in the operator: MatMulPacked has the same kernels."""
        packed = pack(self.coarse)
        rows, depth = self.coarse.values.shape
        constants = {"packed": packed.packed, "scales": packed.scales}
        if packed.offsets is not None:
            constants["offsets"] = packed.offsets
        attributes = {"K": depth, "N": rows, "bits": 4, "block_size": BLOCK, "gated": 0}
        names = ["x", "packed", "scales", *(["offsets"] if packed.offsets is not None else [])]
        return run(Node("MatMulPacked", names, ["y"], attributes, constants), {"x": x}, library)


def activations(rows: int, depth: int) -> Floats:
    return np.random.default_rng(1).standard_normal((rows, depth)).astype(np.float32)


def likeliest(coarse: Floats, tokens: int) -> NDArray[np.int64]:
    """The ids that ONNX Runtime's TopK takes; of equal logits it takes the lower ids."""
    node = Node("TopK", ["x", "k"], ["values", "ids"], {}, {"k": np.array([tokens], np.int64)}, domain="")
    return session(node, {"x": coarse}, None).run(["ids"], {"x": coarse})[0]


@pytest.mark.parametrize(
    ("rows", "depth", "tokens"),
    [(5000, 64, 20), (1000, 104, 128), (70, 40, 70), (33, 32, 1), (200, 32, 4), (64, 64, 3)],
)
@pytest.mark.parametrize("halves", [False, True])
def test_the_likeliest_are_of_the_table_and_the_others_coarse(
    ops_library: str, rows: int, depth: int, tokens: int, halves: bool
):
    head = Head(rows, depth, tokens, halves=halves)
    for count in (1, 3, 8, 50):
        x = activations(count, depth)
        result = run(head.node(), {"x": x}, ops_library)
        coarse = head.coarse_of_operator(x, ops_library)
        assert close(coarse, head.coarse_logits(x))
        chosen = np.zeros(result.shape, bool)
        np.put_along_axis(chosen, likeliest(coarse, tokens), True, 1)
        assert (result[~chosen] == coarse[~chosen]).all()
        assert close(result[chosen], head.fine_logits(x)[chosen])


@pytest.mark.parametrize("tokens", [1, 5, 64, 65, 300])
def test_of_equal_logits_the_lower_ids_are_computed_again(ops_library: str, tokens: int):
    head = Head(3000, 32, tokens, equal=True)
    x = activations(2, 32)
    result = run(head.node(), {"x": x}, ops_library)
    coarse = head.coarse_of_operator(x, ops_library)
    assert (coarse == coarse[:, :1]).all()
    assert close(result[:, :tokens], head.fine_logits(x)[:, :tokens])
    assert (result[:, tokens:] == coarse[:, tokens:]).all()


def test_both_zeros_are_equal(ops_library: str):
    head = Head(640, 32, 10)
    head.coarse.scales[::2] = -0.0
    head.coarse.scales[1::2] = 0.0
    assert head.coarse.zero_points is not None
    head.coarse.zero_points[:] = 0
    x = activations(1, 32)
    result = run(head.node(), {"x": x}, ops_library)
    assert close(result[:, :10], head.fine_logits(x)[:, :10])
    assert not result[:, 10:].any()


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_in_their_row(ops_library: str, strange: float):
    head = Head(1000, 64, 20)
    for rows in (1, 4, 50):
        x = activations(rows, 64)
        clean = run(head.node(), {"x": x}, ops_library)
        x[rows // 2, 7] = strange
        result = run(head.node(), {"x": x}, ops_library)
        assert not np.isfinite(result[rows // 2]).any()
        others = np.arange(rows) != rows // 2
        assert (result[others] == clean[others]).all()


def test_nan_among_the_weights_is_never_likely(ops_library: str):
    head = Head(1000, 64, 20)
    head.coarse.scales[::3] = np.nan
    x = activations(2, 64)
    result = run(head.node(), {"x": x}, ops_library)
    assert np.isnan(result[:, ::3]).all()
    assert np.isfinite(np.delete(result, np.s_[::3], 1)).all()


def test_a_row_has_the_same_bits_in_any_batch_and_with_any_threads(ops_library: str):
    head = Head(2000, 64, 30)
    x = activations(60, 64)
    expected = run(head.node(), {"x": x}, ops_library)
    for threads in (1, 2, 3, 5, 8, 64):
        made = session(head.node(), {"x": x}, ops_library, threads=threads)
        for batch in (1, 2, 7, 49, 60):
            for start in range(0, 60, batch):
                (result,) = made.run(None, {"x": x[start : start + batch]})
                assert (result == expected[start : start + batch]).all()


def test_no_rows_give_no_logits(ops_library: str):
    assert run(Head(100, 32, 5).node(), {"x": np.zeros((0, 32), np.float32)}, ops_library).shape == (0, 100)
