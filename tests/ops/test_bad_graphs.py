"""Graphs and steps that are wrong give errors of ONNX Runtime, never a crash, and leave the cache as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from tests.ops.caches import Cache, Heads, cache
from tests.ops.matrices import matmul_node
from tests.ops.reference import quantised
from tests.ops.sessions import Array, Node, run, session

HEADS = Heads(14, 2, 64)


def refused(act: Callable[[], object]) -> str:
    """The message of ONNX Runtime's error: its package has a class a status code, and RuntimeError for bound steps."""
    with pytest.raises(Exception, match=r"\S") as caught:
        act()
    error = type(caught.value)
    assert error is RuntimeError or error.__module__ == "onnxruntime.capi.onnxruntime_pybind11_state"
    return str(caught.value)


def matmul(weight_bits: int = 8, **attributes: object) -> Node:
    """A node [70, 96] with blocks of 32, and other attributes."""
    node = matmul_node(quantised(np.random.default_rng(0), 70, 96, 32, weight_bits, offsets=True), 32)
    return replace(node, attributes={**node.attributes, **attributes})


def head(**attributes: object) -> Node:
    """A head [70, 96] with blocks of 32, and other attributes."""
    node = matmul(4)
    table = {"table": np.zeros((70, 96), np.uint8), "table_scales": np.ones((70, 3), np.float32)}
    given = {"K": 96, "N": 70, "block_size": 32, "tokens": 5, "table_block": 32, **attributes}
    inputs = ["x", "packed", "scales", "offsets", "table", "table_scales"]
    return Node("RescoredHead", inputs, ["y"], given, {**node.constants, **table})


def with_constant(node: Node, name: str, value: Array) -> Node:
    return replace(node, constants={**node.constants, name: value})


def without(node: Node, name: str) -> Node:
    return replace(node, inputs=[given if given != name else "" for given in node.inputs])


X = {"x": np.ones((3, 96), np.float32)}


def test_the_nodes_are_right_before_they_are_made_wrong(ops_library: str):
    for bits in (8, 6, 5, 4):
        assert np.isfinite(run(matmul(bits), X, ops_library)).all()
    assert np.isfinite(run(head(), X, ops_library)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("bits", bits) for bits in (0, 1, 7, 16, -8)],
        *[("gated", gated) for gated in (2, -1)],
        *[("block_size", block) for block in (0, -32, 8, 24, 100, 2**40)],
        *[("K", depth) for depth in (0, -96, 98, 2**40, -(2**63))],
        *[("N", rows) for rows in (0, -70, 2**40, 2**63 - 1)],
        ("K", "96"),
        ("K", 96.0),
    ],
)
def test_a_wrong_attribute_of_a_matrix_is_an_error_when_the_session_is_made(ops_library: str, name: str, value: object):
    refused(lambda: session(matmul(**{name: value}), X, ops_library))


@pytest.mark.parametrize(("bits", "depth"), [(4, 100), (6, 104), (5, 112)])
def test_columns_that_are_no_whole_steps_are_an_error(ops_library: str, bits: int, depth: int):
    refused(lambda: session(matmul(bits, K=depth), X, ops_library))


def test_blocks_that_are_no_whole_steps_are_an_error(ops_library: str):
    refused(lambda: session(matmul(5, block_size=16), X, ops_library))


@pytest.mark.parametrize(("held", "stated"), [(8, 6), (6, 8), (6, 5), (5, 6), (4, 5), (5, 4)])
def test_a_matrix_of_other_bits_than_stated_is_an_error(ops_library: str, held: int, stated: int):
    refused(lambda: run(matmul(held, bits=stated), X, ops_library))


def test_sums_that_would_overflow_are_an_error(ops_library: str):
    refused(lambda: session(matmul(K=2**17, block_size=2**17), X, ops_library))


def test_gate_and_up_have_the_same_rows(ops_library: str):
    refused(lambda: session(matmul(N=71, gated=1), X, ops_library))


@pytest.mark.parametrize("name", ["K", "N", "bits", "block_size", "gated"])
def test_a_missing_attribute_is_an_error(ops_library: str, name: str):
    node = matmul()
    kept = {key: value for key, value in node.attributes.items() if key != name}
    refused(lambda: session(replace(node, attributes=kept), X, ops_library))


@pytest.mark.parametrize("name", ["packed", "scales", "offsets"])
@pytest.mark.parametrize("change", ["shorter", "longer", "flat", "scalar", "empty", "deep"])
@pytest.mark.parametrize("make", [matmul, head])
def test_a_tensor_of_another_shape_is_an_error(ops_library: str, make: Callable[[], Node], name: str, change: str):
    value = make().constants[name]
    shapes: dict[str, Callable[[Array], Array]] = {
        "shorter": lambda array: array[:-1],
        "longer": lambda array: np.concatenate([array, array]),
        "flat": lambda array: array.reshape(-1),
        "scalar": lambda array: array.reshape(-1)[0],
        "empty": lambda array: array[:0],
        "deep": lambda array: array.reshape(1, 1, 1, 1, 1, 1, *array.shape),
    }
    node = with_constant(make(), name, np.asarray(shapes[change](value)))
    refused(lambda: run(node, X, ops_library))


def test_a_bias_of_the_rows_alone_is_an_error(ops_library: str):
    node = replace(matmul(), inputs=["x", "packed", "scales", "offsets", "bias"])
    refused(lambda: run(with_constant(node, "bias", np.zeros(70, np.float32)), X, ops_library))


@pytest.mark.parametrize("shape", [(3, 95), (3, 97), (96, 3), (), (0,), (96, 0)])
@pytest.mark.parametrize("make", [matmul, head])
def test_activations_of_another_shape_are_an_error(ops_library: str, make: Callable[[], Node], shape: tuple[int, ...]):
    refused(lambda: run(make(), {"x": np.zeros(shape, np.float32)}, ops_library))


@pytest.mark.parametrize("make", [matmul, head])
@pytest.mark.parametrize("kind", [np.float64, np.int32, np.uint8])
def test_activations_of_another_type_are_an_error(ops_library: str, make: Callable[[], Node], kind: type[Any]):
    refused(lambda: run(make(), {"x": np.zeros((3, 96), kind)}, ops_library))


@pytest.mark.parametrize("name", ["packed", "scales", "offsets"])
def test_constants_of_another_type_are_an_error(ops_library: str, name: str):
    refused(lambda: run(with_constant(matmul(), name, matmul().constants[name].astype(np.int32)), X, ops_library))


@pytest.mark.parametrize("name", ["x", "packed", "scales"])
def test_a_missing_input_is_an_error(ops_library: str, name: str):
    refused(lambda: run(without(matmul(), name), X, ops_library))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tokens", 0),
        ("tokens", 71),
        ("tokens", -1),
        ("table_block", 0),
        ("table_block", 8),
        ("table_block", 48),
        ("K", 92),
    ],
)
def test_a_wrong_attribute_of_a_head_is_an_error(ops_library: str, name: str, value: int):
    refused(lambda: session(head(**{name: value}), X, ops_library))


@pytest.mark.parametrize(
    ("name", "shape"), [("table", (69, 96)), ("table", (70, 95)), ("table_scales", (70, 2)), ("table_scales", (71, 3))]
)
def test_a_table_of_another_shape_is_an_error(ops_library: str, name: str, shape: tuple[int, int]):
    value = head().constants[name]
    refused(lambda: run(with_constant(head(), name, np.resize(value, shape)), X, ops_library))


def listing(**attributes: object) -> Node:
    return Node("ListCandidates", ["x"], ["ids", "values", "normaliser"], {"tokens": 96, "count": 5, **attributes}, {})


@pytest.mark.parametrize(
    ("name", "value"), [("tokens", 0), ("tokens", -1), ("tokens", 4), ("tokens", 2**40), ("count", 0), ("count", 97)]
)
def test_a_wrong_attribute_of_a_list_is_an_error(ops_library: str, name: str, value: int):
    refused(lambda: session(listing(**{name: value}), X, ops_library))


@pytest.mark.parametrize("shape", [(3, 95), (96,), (1, 3, 96)])
def test_logits_without_a_column_for_each_token_are_an_error(ops_library: str, shape: tuple[int, ...]):
    feeds = {"x": np.ones(shape, np.float32)}
    refused(lambda: session(listing(), feeds, ops_library).run(None, feeds))


def attention(**attributes: object) -> Node:
    node = HEADS.node()
    return replace(node, attributes={**node.attributes, **attributes})


def step_with(node: Node, library: str, heads: Heads = HEADS) -> Cache:
    past = np.zeros((1, heads.groups, heads.capacity, heads.dim), np.float32)
    feeds = {"query": heads.rows(1, 1), "past_key": past, "past_value": past, "seqlens_k": np.zeros(1, np.int32)}
    return Cache(heads, 1, session(node, feeds, library))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_heads", 0),
        ("num_heads", 13),
        ("num_heads", 2**40),
        ("kv_num_heads", 0),
        ("kv_num_heads", 3),
        ("kv_num_heads", -2),
        ("scale", 0.0),
        ("scale", -1.0),
        ("scale", float("nan")),
        ("scale", float("inf")),
    ],
)
def test_a_wrong_attribute_of_an_attention_is_an_error(ops_library: str, name: str, value: float):
    refused(lambda: step_with(attention(**{name: value}), ops_library))


@pytest.mark.parametrize("lasts", [-1, -2, 1, 256, 300, 2**31 - 1, -(2**31)])
def test_positions_out_of_range_are_an_error_and_write_nothing(ops_library: str, lasts: int):
    slots = cache(HEADS, 2, ops_library, fill=3)
    # Three rows: their last position is from 2 to 255.
    refused(lambda: slots.step(HEADS.rows(2, 3), [100, lasts]))
    assert (slots.keys.numpy() == 3).all()
    assert (slots.values.numpy() == 3).all()


def test_positions_without_an_angle_are_an_error(ops_library: str):
    node = HEADS.node()
    short = {name: table[:100] for name, table in node.constants.items()}
    slots = step_with(replace(node, constants=short), ops_library)
    slots.step(HEADS.rows(1, 1), [99])
    refused(lambda: slots.step(HEADS.rows(1, 1), [100]))


@pytest.mark.parametrize(
    "heads", [Heads(14, 2, 64, 100), Heads(14, 2, 64, 63), Heads(4, 2, 48), Heads(4, 2, 512)], ids=str
)
def test_a_cache_without_a_kernel_is_an_error(ops_library: str, heads: Heads):
    refused(lambda: cache(heads, 1, ops_library).step(heads.rows(1, 1), [0]))


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 100), (2, 1, HEADS.width), (1, 1, HEADS.width + 1), (HEADS.width,)])
def test_a_query_of_another_shape_is_an_error(ops_library: str, shape: tuple[int, ...]):
    heads = HEADS
    past = np.zeros((1, heads.groups, heads.capacity, heads.dim), np.float32)
    feeds = {"past_key": past, "past_value": past, "seqlens_k": np.zeros(1, np.int32)}
    slots = Cache(heads, 1, session(heads.node(), {"query": np.zeros(shape, np.float32), **feeds}, ops_library))
    refused(lambda: slots.step(np.zeros(shape, np.float32), [0]))


@pytest.mark.parametrize("name", ["cos", "sin"])
@pytest.mark.parametrize("width", [31, 64])
def test_angles_of_another_shape_are_an_error(ops_library: str, name: str, width: int):
    node = with_constant(HEADS.node(), name, np.zeros((256, width), np.float32))
    refused(lambda: step_with(node, ops_library).step(HEADS.rows(1, 1), [0]))


def test_a_key_without_a_value_is_an_error(ops_library: str):
    node = HEADS.node()
    key = np.zeros((1, 1, HEADS.groups * HEADS.dim), np.float32)
    inputs = ["query", "key", "", *node.inputs[3:]]
    slots = step_with(replace(node, inputs=inputs, constants={**node.constants, "key": key}), ops_library)
    refused(lambda: slots.step(HEADS.rows(1, 1), [0]))


def test_a_cache_that_is_not_bound_to_itself_is_an_error(ops_library: str):
    slots = cache(HEADS, 1, ops_library)
    past = {"past_key": slots.keys.numpy(), "past_value": slots.values.numpy()}
    feeds = {"query": HEADS.rows(1, 1), "seqlens_k": np.zeros(1, np.int32), **past}
    message = refused(lambda: slots.made.run(None, feeds))
    assert "present_key" in message
    assert "past_key" in message


def test_keys_and_values_in_the_same_memory_are_an_error(ops_library: str):
    slots = cache(HEADS, 1, ops_library)
    slots.values = slots.keys
    refused(lambda: slots.step(HEADS.rows(1, 1), [0]))


def test_a_library_can_be_registered_twice(ops_library: str):
    for _ in range(2):
        options = ort.SessionOptions()
        options.register_custom_ops_library(str(ops_library))
