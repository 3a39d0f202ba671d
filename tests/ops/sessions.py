"""Sessions of ONNX Runtime with one node, and steps in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.generic]
_TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.uint8): TensorProto.UINT8}
_TYPES[np.dtype(np.int32)] = TensorProto.INT32
_TYPES[np.dtype(np.float64)] = TensorProto.DOUBLE


@dataclass(frozen=True)
class Node:
    """One node: its inputs by name ("" for one that is left out), and which of them are constants."""

    op: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, object]
    constants: Mapping[str, Array]
    domain: str = "appliance"


def session(node: Node, feeds: Mapping[str, Array], library: str | None, *, threads: int = 1) -> ort.InferenceSession:
    """A session of the node; inputs of any shape, with the types of `feeds`."""
    inputs = [
        helper.make_tensor_value_info(name, _TYPES[feed.dtype], [f"{name}_{axis}" for axis in range(feed.ndim)])
        for name, feed in feeds.items()
        if name in node.inputs
    ]
    # Without a type: ONNX Runtime infers it.
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.outputs]
    made = helper.make_node(node.op, node.inputs, node.outputs, domain=node.domain, **node.attributes)
    constants = [numpy_helper.from_array(value, name) for name, value in node.constants.items()]
    graph = helper.make_graph([made], "one_node", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(node.domain, 1)] if node.domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if library is not None:
        options.register_custom_ops_library(str(library))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(node: Node, feeds: Mapping[str, Array], library: str | None, *, threads: int = 1) -> NDArray[np.float32]:
    """The node's only output."""
    (result,) = session(node, feeds, library, threads=threads).run(None, dict(feeds))
    return result
