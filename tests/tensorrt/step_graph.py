"""A decoder of two layers with random weights, as docs/graph.md wants a graph for TensorRT; and an artefact of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import (
    GRAPH,
    MANIFEST_NAME,
    TENSORRT,
    Generation,
    Manifest,
    ModelShape,
    TextGeneration,
)

LAYERS, HEADS, KV_HEADS, HEAD_DIM, HIDDEN, VOCABULARY = 2, 4, 2, 16, 64, 96
CONTEXT_TOKENS = 256
CANDIDATES = 8


def make_plan_artefact(
    folder: Path, *, seed: int = 0, leave_out: str = "", element: Any = np.float16, **fields: Any
) -> Manifest:
    """Write graph and manifest into `folder`, which is made; `fields` replace those of the manifest.

    Args:
        folder: where to.
        seed: of the weights.
        leave_out: "nonpad_kv_seqlen" gives `Attention` that input, which TensorRT's parser leaves out; "logits_rows"
            makes that input of the graph one that nothing computes with.
        element: of weights, activations and cache.
        fields: of the manifest.
    """
    folder.mkdir(parents=True)
    model = _Graph(seed, np.dtype(element)).model(leave_out)
    onnx.checker.check_model(model)
    onnx.save_model(
        model, str(folder / GRAPH), save_as_external_data=True, location=f"{GRAPH}.data", size_threshold=1024
    )
    described: dict[str, Any] = {
        "model": "tiny",
        "target": "cuda-sm89",
        "preset": "tensorrt-fp16",
        "architecture": "qwen3",
        "task": TextGeneration(
            ModelShape(LAYERS, KV_HEADS, HEAD_DIM, VOCABULARY, VOCABULARY, CONTEXT_TOKENS, "float16"),
            Generation(eos_token_ids=(0,)),
        ),
        "files": tuple(file_entry(path) for path in sorted(folder.iterdir())),
        "inputs": {},
        "runtime": TENSORRT,
    }
    manifest = Manifest(**{**described, **fields})
    (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return manifest


class _Graph:
    def __init__(self, seed: int, element: np.dtype[Any]) -> None:
        self._element = element
        self._random = np.random.default_rng(seed)
        self._initializers: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []

    def model(self, leave_out: str) -> onnx.ModelProto:
        """The whole graph, in the order in which it computes."""
        self._constants()
        self._positions()
        filled = "filled" if leave_out == "nonpad_kv_seqlen" else ""
        if filled:
            self._node("Mul", ["write_indices", "one"], "filled")
        hidden = self._node("Gather", [self._weights("embedding", VOCABULARY, HIDDEN), "input_ids"], "hidden")
        for layer in range(LAYERS):
            hidden = self._layer(layer, hidden, filled)
        self._node("Reshape", [hidden, "flat"], "rows")
        wanted = ["rows", "first_row" if leave_out == "logits_rows" else "logits_rows"]
        self._node("Gather", wanted, "wanted_rows", axis=0)
        self._node("MatMul", ["wanted_rows", self._weights("head", HIDDEN, VOCABULARY)], "half_logits")
        self._node("Cast", ["half_logits"], "logits", to=TensorProto.FLOAT)
        self._node("TopK", ["logits", "count"], "candidate_logits", "candidate_ids", axis=-1)
        self._node("ReduceLogSumExp", ["logits", "last"], "log_normaliser", keepdims=0)
        graph = helper.make_graph(
            self._nodes, "step", _inputs(self._element), _outputs(self._element), self._initializers
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)

    def _constants(self) -> None:
        whole: dict[str, Any] = {
            "zero": 0,
            "one": 1,
            "first_row": [0],
            "axis_1": [1],
            "axis_3": [3],
            "last": [-1],
            "count": [CANDIDATES],
        }
        whole |= {"heads": [0, 0, -1, HEAD_DIM], "joined": [0, 0, -1], "flat": [-1, HIDDEN]}
        for name, value in whole.items():
            self._initializers.append(numpy_helper.from_array(np.array(value, np.int64), name))
        frequencies = 1e4 ** -(np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        angles = np.outer(np.arange(2 * CONTEXT_TOKENS), frequencies)
        self._initialize("cos", np.cos(angles))
        self._initialize("sin", np.sin(angles))

    def _positions(self) -> None:
        """Positions [batch, length], and the mask [batch, 1, length, capacity] that they give."""
        for source, axis, name in (("input_ids", 1, "length"), ("past_key_values.0.key", 2, "capacity")):
            self._node("Shape", [source], f"{name}_1", start=axis, end=axis + 1)
            self._node("Squeeze", [f"{name}_1"], f"{name}_0")
            self._node("Range", ["zero", f"{name}_0", "one"], f"{name}_range")
        self._node("Unsqueeze", ["write_indices", "axis_1"], "first")
        self._node("Add", ["first", "length_range"], "positions")
        self._node("Unsqueeze", ["positions", "axis_1"], "positions_3")
        self._node("Unsqueeze", ["positions_3", "axis_3"], "positions_4")
        self._node("LessOrEqual", ["capacity_range", "positions_4"], "mask")

    def _layer(self, layer: int, hidden: str, filled: str) -> str:
        def name(part: str) -> str:
            return f"layer.{layer}.{part}"

        self._node("RMSNormalization", [hidden, self._weights(name("norm"), HIDDEN)], name("normed"), axis=-1)
        for part, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            weights = self._weights(name(f"{part}.weight"), HIDDEN, heads * HEAD_DIM)
            self._node("MatMul", [name("normed"), weights], name(f"{part}.flat"))
            self._node("Reshape", [name(f"{part}.flat"), "heads"], name(f"{part}.split"))
            self._node("Transpose", [name(f"{part}.split")], name(part), perm=[0, 2, 1, 3])
        for part in ("q", "k"):
            self._node("RotaryEmbedding", [name(part), "cos", "sin", "positions"], name(f"{part}.turned"))
        for part, rows in (("key", "k.turned"), ("value", "v")):
            cache = [f"past_key_values.{layer}.{part}", name(rows), "write_indices"]
            self._node("TensorScatter", cache, f"present.{layer}.{part}", axis=2, mode="linear")
        attended = [name("q.turned"), f"present.{layer}.key", f"present.{layer}.value", "mask"]
        self._node("Attention", [*attended, *(["", "", filled] if filled else [])], name("seen"), scale=HEAD_DIM**-0.5)
        self._node("Transpose", [name("seen")], name("seen.split"), perm=[0, 2, 1, 3])
        self._node("Reshape", [name("seen.split"), "joined"], name("seen.joined"))
        weights = self._weights(name("o.weight"), HEADS * HEAD_DIM, HIDDEN)
        self._node("MatMul", [name("seen.joined"), weights], name("o"))
        return self._node("Add", [name("o"), hidden], name("out"))

    def _node(self, operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, list(outputs), **attributes))
        return outputs[0]

    def _weights(self, name: str, *shape: int) -> str:
        return self._initialize(name, self._random.standard_normal(shape) * 0.1)

    def _initialize(self, name: str, values: NDArray[Any]) -> str:
        self._initializers.append(numpy_helper.from_array(values.astype(self._element), name))
        return name


def _inputs(element: np.dtype[Any]) -> list[onnx.ValueInfoProto]:
    whole = {"input_ids": ["batch", "length"], "write_indices": ["batch"], "logits_rows": ["wanted"]}
    return [
        *(helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name, shape in whole.items()),
        *_caches("past_key_values", element),
    ]


def _outputs(element: np.dtype[Any]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["wanted", VOCABULARY]),
        helper.make_tensor_value_info("candidate_logits", TensorProto.FLOAT, ["wanted", CANDIDATES]),
        helper.make_tensor_value_info("candidate_ids", TensorProto.INT64, ["wanted", CANDIDATES]),
        helper.make_tensor_value_info("log_normaliser", TensorProto.FLOAT, ["wanted"]),
        *_caches("present", element),
    ]


def _caches(prefix: str, element: np.dtype[Any]) -> list[onnx.ValueInfoProto]:
    shape = ["batch", KV_HEADS, "capacity", HEAD_DIM]
    names = [f"{prefix}.{layer}.{part}" for layer in range(LAYERS) for part in ("key", "value")]
    kind = helper.np_dtype_to_tensor_dtype(element)
    return [helper.make_tensor_value_info(name, kind, shape) for name in names]
