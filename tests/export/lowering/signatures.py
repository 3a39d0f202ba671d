"""Proves the types of a graph against the operators' own signatures: each input is allowed, and equal where it must be.

The signatures are those of the installed ONNX Runtime; what its CUDA kernels take of them is written down here, as its
page docs/OperatorKernels.md lists it. TopK, Log and GroupQueryAttention are why it matters: each leaves a type out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

HALVES = {"tensor(bfloat16)", "tensor(float16)"}
FLOATS = {*HALVES, "tensor(float)"}
# Types that the CUDA kernels take for each of the type parameters; of those left out they take all.
CUDA: Mapping[str, Mapping[str, set[str]]] = {
    "Add": {"T": FLOATS},
    "Cast": {},
    "Exp": {"T": FLOATS},
    "FastGelu": {"T": FLOATS},
    "Gather": {},
    "GatherBlockQuantized": {"T1": {"tensor(uint8)"}, "T2": FLOATS},
    "Gemm": {"T": FLOATS},
    "GroupQueryAttention": {"T": HALVES, "T_CACHE": HALVES},
    "Log": {"T": {"tensor(float)", "tensor(float16)"}},
    "MatMul": {"T": FLOATS},
    "MatMulNBits": {"T1": FLOATS, "T2": {"tensor(uint8)"}, "T3": {*FLOATS, "tensor(uint8)"}},
    "Mul": {"T": FLOATS},
    "QuickGelu": {"T": FLOATS},
    "ReduceMax": {"T": FLOATS},
    "ReduceSum": {"T": FLOATS},
    "Reshape": {},
    "SimplifiedLayerNormalization": {"T": FLOATS, "V": FLOATS},
    "SkipSimplifiedLayerNormalization": {"T": FLOATS},
    "Slice": {},
    "Split": {},
    "Squeeze": {},
    "Sub": {"T": FLOATS},
    "TopK": {"T": {"tensor(float)", "tensor(float16)"}},
}
_NAMES = {
    onnx.TensorProto.FLOAT: "tensor(float)",
    onnx.TensorProto.FLOAT16: "tensor(float16)",
    onnx.TensorProto.BFLOAT16: "tensor(bfloat16)",
    onnx.TensorProto.INT64: "tensor(int64)",
    onnx.TensorProto.INT32: "tensor(int32)",
    onnx.TensorProto.UINT8: "tensor(uint8)",
}


def check_types(model: onnx.ModelProto) -> dict[str, str]:
    """Walk the graph and return the type of every value.

    Raises:
        AssertionError: a node's types are not those of its operator, not those of a CUDA kernel, or a declared type of
            an output is not the one that comes out.
    """
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    types = {value.name: _NAMES[value.type.tensor_type.elem_type] for value in model.graph.input}
    types |= {tensor.name: _NAMES[tensor.data_type] for tensor in model.graph.initializer}
    for node in model.graph.node:
        schema = _schema(node.op_type, node.domain, opsets[node.domain])
        allowed = {one.type_param_str: set(one.allowed_type_strs) for one in schema.type_constraints}
        bound: dict[str, str] = {}
        for formal, name in _paired(schema.inputs, node.input):
            if name:
                _bind(node, formal.typeStr, types[name], allowed, bound)
        for formal, name in _paired(schema.outputs, node.output):
            if name:
                types[name] = _result(node, formal.typeStr, allowed, bound)
    for value in model.graph.output:
        assert _NAMES[value.type.tensor_type.elem_type] == types[value.name], value.name
    return types


@functools.cache
def _schema(operator: str, domain: str, opset: int) -> Any:
    found = [
        schema
        for schema in get_all_operator_schema()
        if (schema.domain, schema.name) == (domain, operator) and schema.since_version <= opset
    ]
    assert found, f"no operator {domain}::{operator}"
    return max(found, key=lambda schema: schema.since_version)


def _paired(formals: Sequence[Any], names: Sequence[str]) -> list[tuple[Any, str]]:
    """Formal parameters with actual names; the last formal one stands for all that follow."""
    return [(formals[min(index, len(formals) - 1)], name) for index, name in enumerate(names)]


def _bind(
    node: onnx.NodeProto, parameter: str, found: str, allowed: dict[str, set[str]], bound: dict[str, str]
) -> None:
    if parameter not in allowed:
        assert found == parameter, f"{node.name}: {found} instead of {parameter}"
        return
    assert found in allowed[parameter], f"{node.name}: {parameter} is {found}"
    assert found in CUDA[node.op_type].get(parameter, {found}), f"{node.name}: no CUDA kernel with {parameter} {found}"
    assert bound.setdefault(parameter, found) == found, f"{node.name}: {parameter} is {found} and {bound[parameter]}"


def _result(node: onnx.NodeProto, parameter: str, allowed: dict[str, set[str]], bound: dict[str, str]) -> str:
    if node.op_type == "Cast":
        return _NAMES[next(attribute.i for attribute in node.attribute if attribute.name == "to")]
    if parameter in bound:
        return bound[parameter]
    if parameter not in allowed:
        return parameter
    (only,) = allowed[parameter]
    return only
