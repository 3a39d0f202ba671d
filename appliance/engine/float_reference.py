"""What a graph that was exported for TensorRT answers in 32-bit floats, computed on the CPU: the reference of a plan.

The graph's half-width numbers are widened: the weights are the same, only nothing is rounded on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, numpy_helper

from appliance.artefact.manifest import GRAPH, ModelShape
from appliance.errors import EngineError

_HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
# Attributes of operators that name an element type: of Cast, of QuantizeLinear and DequantizeLinear.
_TYPE_ATTRIBUTES = frozenset({"to", "output_dtype", "dtype"})
_HELD = "held in memory"


def reference_logits(artefact: Path, shape: ModelShape, tokens: Sequence[int]) -> NDArray[np.float32]:
    """Compute a prompt; returns the last token's logits, [vocabulary].

    Args:
        artefact: an artefact for TensorRT that has been through the gate.
        shape: see ModelShape.
        tokens: the prompt.

    Raises:
        EngineError: ONNX Runtime does not compute the graph.
    """
    model = onnx.load_model(artefact / GRAPH, load_external_data=False)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    held = _widen(model, artefact)
    options.add_external_initializers(list(held), list(held.values()))
    cache = np.zeros((1, shape.kv_heads, len(tokens), shape.head_dim), np.float32)
    feeds: dict[str, NDArray[Any]] = {
        "input_ids": np.array([tokens], np.int64),
        "write_indices": np.zeros(1, np.int64),
        "logits_rows": np.array([len(tokens) - 1], np.int64),
    }
    feeds |= {value.name: cache for value in model.graph.input if value.name.startswith("past_key_values.")}
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], feeds)
    # ONNX Runtime's errors have no base of their own.
    except Exception as error:
        raise EngineError(f"the reference cannot be computed: {error}") from error
    row: NDArray[np.float32] = logits[0]
    return row


def _widen(model: onnx.ModelProto, folder: Path) -> dict[str, Any]:
    """Make every half-width number of the graph a float; returns the weights, which a graph's own bytes cannot hold."""
    held = {}
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL and tensor.data_type not in _HALVES:
            continue
        array = numpy_helper.to_array(tensor, str(folder))
        if tensor.data_type in _HALVES:
            array = array.astype(np.float32)
            tensor.data_type = TensorProto.FLOAT
        held[tensor.name] = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
        tensor.ClearField("raw_data")
        del tensor.external_data[:]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=_HELD)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.elem_type in _HALVES:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for attribute in _attributes(model.graph):
        if attribute.type == AttributeProto.TENSOR and attribute.t.data_type in _HALVES:
            attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float32)))
        elif attribute.name in _TYPE_ATTRIBUTES and attribute.i in _HALVES:
            attribute.i = TensorProto.FLOAT
    return held


def _attributes(graph: onnx.GraphProto) -> Iterator[AttributeProto]:
    for node in graph.node:
        yield from node.attribute
