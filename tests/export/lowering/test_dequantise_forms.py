"""Which forms of quantised weights TensorRT for RTX takes: what the presets rest on, and why scales are as they are."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.export.lowering.rtx import Parsed, parse

INPUTS, OUTPUTS = 256, 32
TYPES = {"int8": TensorProto.INT8, "int4": TensorProto.INT4}


def product(folder: Path, kind: str, block: int | None, *, inputs: int = INPUTS, sign: int = 1) -> Parsed:
    """Parse a multiplication by int8 or int4 weights, with one scale an output or one for `block` inputs of it."""
    blocks = () if block is None else (-(-inputs // block),)
    scales = np.full((*blocks, OUTPUTS), 0.01 * sign).astype(ml_dtypes.bfloat16)
    packed = bytes(inputs * OUTPUTS // (2 if kind == "int4" else 1))
    attributes = {"axis": 1} if block is None else {"axis": 0, "block_size": block}
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["elements", "scales"], ["weight"], **attributes),
            helper.make_node("MatMul", ["x", "weight"], ["y"]),
        ],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.BFLOAT16, [4, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.BFLOAT16, [4, OUTPUTS])],
        [
            helper.make_tensor("elements", TYPES[kind], (inputs, OUTPUTS), packed, raw=True),
            helper.make_tensor("scales", TensorProto.BFLOAT16, scales.shape, scales.tobytes(), raw=True),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    onnx.checker.check_model(model)
    return parse(folder, model)


@pytest.mark.parametrize(("kind", "block"), [("int8", None), ("int4", 64), ("int4", 128)])
def test_the_forms_of_the_presets_are_taken(tmp_path: Path, kind: str, block: int | None) -> None:
    parsed = product(tmp_path, kind, block)
    assert (parsed.accepted, parsed.errors) == (True, [])


def test_a_scale_below_zero_is_refused(tmp_path: Path) -> None:
    parsed = product(tmp_path, "int8", None, sign=-1)
    assert not parsed.accepted
    assert "must all be positive" in parsed.errors[0]


def test_a_last_block_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    parsed = product(tmp_path, "int4", 64, inputs=INPUTS + 32)
    assert not parsed.accepted
    assert "must divide into whole blocks" in parsed.errors[0]


@pytest.mark.parametrize("quantised", [False, True], ids=["bfloat16", "int8"])
def test_a_table_for_both_ends_takes_two_bytes_an_element_in_the_plan(tmp_path: Path, quantised: bool) -> None:
    """Of tied embeddings: one copy in 16 bits; two in 8, one for its rows and one to multiply by."""
    few, many = 4096, 16384
    small, large = (parse(tmp_path, tied(rows, quantised=quantised)).plan_bytes() or 0 for rows in (few, many))
    assert (large - small) / ((many - few) * INPUTS) == pytest.approx(2, rel=0.05)


def tied(rows: int, *, quantised: bool) -> onnx.ModelProto:
    """Rows of a table, and a multiplication by it."""
    values = np.random.default_rng(0).integers(1, 100, (rows, INPUTS))
    scales = np.full(rows, 0.01).astype(ml_dtypes.bfloat16)
    if quantised:
        made = [helper.make_node("DequantizeLinear", ["elements", "scales"], ["table"], axis=0)]
        held = [
            helper.make_tensor("elements", TensorProto.INT8, values.shape, values.astype(np.int8).tobytes(), raw=True),
            helper.make_tensor("scales", TensorProto.BFLOAT16, scales.shape, scales.tobytes(), raw=True),
        ]
    else:
        made = []
        content = values.astype(ml_dtypes.bfloat16).tobytes()
        held = [helper.make_tensor("table", TensorProto.BFLOAT16, values.shape, content, raw=True)]
    nodes = [
        *made,
        helper.make_node("Gather", ["table", "ids"], ["embedding"]),
        helper.make_node("Sigmoid", ["embedding"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "table"], ["logits"], transB=1),
    ]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"])
    logits = helper.make_tensor_value_info("logits", TensorProto.BFLOAT16, ["batch", rows])
    graph = helper.make_graph(nodes, "tied", [ids], [logits], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
