"""The CPU's graph stays as it is, node by node: what is added for other runtimes leaves its artefacts alone."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from export.presets import BALANCED
from tests.export.lowering.graphs import build, load

_FOLDER = Path(__file__).resolve().parents[2] / "golden"
GOLDEN = {
    _FOLDER / f"cpu-graph-{model_type}.txt": model_type
    for model_type in ("qwen2", "qwen3", "llama", "granite", "gemma3_text")
}


@pytest.mark.parametrize(("path", "model_type"), GOLDEN.items(), ids=GOLDEN.values())
def test_the_graph_for_the_cpu_is_the_one_on_record(tmp_path: Path, path: Path, model_type: str) -> None:
    assert described(tmp_path, model_type).splitlines() == path.read_text(encoding="utf-8").splitlines()


def described(folder: Path, model_type: str) -> str:
    """A tiny checkpoint's graph as text: no weights, whose last bits differ between kinds of processors."""
    model = load(build(folder, BALANCED, model_type))
    graph = model.graph
    lines = [f"opset {entry.domain or 'onnx'} {entry.version}" for entry in model.opset_import]
    lines += [f"input {_value(value)}" for value in graph.input]
    lines += [f"constant {_constant(tensor)}" for tensor in graph.initializer]
    lines += [f"node {_node(node)}" for node in graph.node]
    lines += [f"output {_value(value)}" for value in graph.output]
    return "\n".join(lines) + "\n"


def _value(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
    return f"{value.name} {onnx.TensorProto.DataType.Name(tensor.elem_type)} {shape}"


def _constant(tensor: onnx.TensorProto) -> str:
    where = {entry.key: entry.value for entry in tensor.external_data}.get("offset", "inside")
    return f"{tensor.name} {onnx.TensorProto.DataType.Name(tensor.data_type)} {list(tensor.dims)} at {where}"


def _node(node: onnx.NodeProto) -> str:
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    shown = " ".join(f"{name}={value:g}" for name, value in sorted(attributes.items()))
    return f"{node.domain}:{node.op_type} {list(node.input)} -> {list(node.output)} {shown}".rstrip()
