"""Random changes of a right graph and of its step give a result or an error of ONNX Runtime, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.caches import Heads, cache
from tests.ops.sessions import Array, Node, run
from tests.ops.test_bad_graphs import head, matmul

HEADS = Heads(14, 2, 64)
ROWS = np.ones((3, 96), np.float32)
# Numbers at which sums, products and casts of sizes go wrong.
_EDGES = [
    -(2**63),
    -(2**31),
    -1,
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    16,
    31,
    32,
    33,
    63,
    64,
    65,
    70,
    96,
    2**31 - 1,
    2**31,
    2**63 - 1,
]
_SIZES = [0, 1, 2, 3, 4, 8, 16, 32, 63, 64, 65, 96, 128, 256]
_KINDS = [np.float32, np.uint8, np.int32, np.float64]
_shapes = st.lists(st.sampled_from(_SIZES), max_size=4).filter(lambda shape: np.prod(shape or [1]) < 1 << 20)


@st.composite
def _arrays(draw: st.DrawFn, near: Array) -> Array:
    """An array of another shape or type, or with other numbers."""
    shape = draw(st.one_of(_shapes, st.just(list(near.shape)), st.permutations(near.shape)))
    kind = draw(st.sampled_from([near.dtype.type, near.dtype.type, *_KINDS]))
    number = draw(st.sampled_from([0, 1, 255, np.nan, np.inf, -np.inf, 1e38]))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.full(shape, number).astype(kind)


@st.composite
def _changed(draw: st.DrawFn, right: Node) -> Node:
    """The node with a few other attributes, constants and missing inputs."""
    attributes, constants, inputs = dict(right.attributes), dict(right.constants), list(right.inputs)
    for name in draw(st.lists(st.sampled_from(sorted(attributes)), max_size=2)):
        kind = st.floats(width=32) if isinstance(attributes[name], float) else st.sampled_from(_EDGES)
        attributes[name] = draw(kind)
    for name in draw(st.lists(st.sampled_from(sorted(constants)), max_size=2)):
        constants[name] = draw(_arrays(constants[name]))
    if draw(st.integers(0, 4)) == 0:
        inputs[draw(st.integers(0, len(inputs) - 1))] = ""
    return replace(right, attributes=attributes, constants=constants, inputs=inputs)


def _error(act: Callable[[], object]) -> Exception | None:
    """What `act` raises."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no narrower base class
        return error
    return None


def _is_of_onnx_runtime(error: Exception) -> bool:
    module = type(error).__module__
    return type(error) is RuntimeError or module == "onnxruntime.capi.onnxruntime_pybind11_state"


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_matrices_and_heads(ops_library: str, data: st.DataObject):
    node = data.draw(_changed(data.draw(st.sampled_from([matmul(), matmul(4), matmul(gated=1, N=128), head()]))))
    rows = data.draw(st.one_of(st.just(ROWS), _arrays(ROWS)))
    error = _error(lambda: run(node, {"x": rows}, ops_library, threads=2))
    assert error is None or _is_of_onnx_runtime(error), repr(error)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_steps_of_an_attention(ops_library: str, data: st.DataObject):
    made = cache(HEADS, 2, ops_library, fill=7)
    rows = data.draw(st.one_of(st.just(HEADS.rows(2, 1)), _arrays(HEADS.rows(2, 3))))
    lasts = data.draw(st.lists(st.sampled_from([n for n in _EDGES if abs(n) < 2**31]), max_size=3))
    before = made.keys.numpy().copy()
    error = _error(lambda: made.step(rows, lasts))
    if error is not None:
        assert _is_of_onnx_runtime(error) or type(error) is ValueError, repr(error)
        # A step that is refused has written nothing.
        assert (made.keys.numpy() == before).all()
