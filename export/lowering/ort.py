"""Lowering for ONNX Runtime: grouped-query attention with an aliased cache, n-bit matrices, logits of wanted rows.

Inputs and outputs are the contract with `appliance.engine`; docs/graph.md has it as a table. It reads one tensor of the
checkpoint at a time and decides nothing about quality: the preset does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from appliance.artefact.manifest import GRAPH
from export.architecture import Architecture, Attention, Layer
from export.checkpoint import Checkpoint
from export.lowering.data_file import DataFile
from export.presets import Preset, Rescoring, Weights
from export.quantise import quantise

OPSET = 21
IR_VERSION = 10
DATA = f"{GRAPH}.data"
_MICROSOFT = "com.microsoft"

Progress = Callable[[int, int], None]


def build(checkpoint: Checkpoint, architecture: Architecture, preset: Preset, folder: Path, progress: Progress) -> None:
    """Write model.onnx and model.onnx.data into `folder`.

    Args:
        checkpoint: the weights.
        architecture: what to compute.
        preset: how each matrix is held.
        folder: exists and holds neither file.
        progress: called with (layers done, layers in all), counting embedding and head as one each.
    """
    with DataFile(folder / DATA) as data:
        graph = _Lowering(checkpoint, architecture, preset, data).graph(progress)
    model = ir.Model(graph, ir_version=IR_VERSION, producer_name="appliance-export")
    ir.save(model, folder / GRAPH)


class _Lowering:
    """One run: collects nodes, initialisers and cache values while walking the description."""

    def __init__(self, checkpoint: Checkpoint, architecture: Architecture, preset: Preset, data: DataFile) -> None:
        self._checkpoint = checkpoint
        self._architecture = architecture
        self._preset = preset
        self._data = data
        self._nodes: list[ir.Node] = []
        self._initializers: dict[str, ir.Value] = {}
        self._inputs: list[ir.Value] = []
        self._outputs: list[ir.Value] = []

    def graph(self, progress: Progress) -> ir.Graph:
        architecture = self._architecture
        total = len(architecture.layers) + 2
        ids = self._input("input_ids", ir.DataType.INT64, ["batch", "length"])
        self._seqlens = self._input("seqlens_k", ir.DataType.INT32, ["batch"])
        self._total = self._input("total_sequence_length", ir.DataType.INT32, [])
        rows = self._input("logits_rows", ir.DataType.INT64, ["wanted"])
        residual = self._embedding(ids)
        progress(1, total)
        normal = self._norm(residual, f"{architecture.layers[0].prefix}.input_layernorm.weight")
        for index, layer in enumerate(architecture.layers):
            following = (
                f"{architecture.layers[index + 1].prefix}.input_layernorm.weight"
                if index + 1 < len(architecture.layers)
                else architecture.final_norm
            )
            normal, residual = self._layer(index, layer, normal, residual, following)
            progress(index + 2, total)
        self._head(normal, rows)
        progress(total, total)
        return ir.Graph(
            self._inputs,
            self._outputs,
            nodes=self._nodes,
            initializers=list(self._initializers.values()),
            opset_imports={"": OPSET, _MICROSOFT: 1},
            name=architecture.name,
        )

    # The parts of a model, from input to output.

    def _embedding(self, ids: ir.Value) -> ir.Value:
        name = self._architecture.embedding
        weights = self._preset.embedding
        table = self._checkpoint.read(name)
        if weights.is_float:
            return self._node("Gather", [self._initializer(name, table), ids], "embedding")
        return self._rows(name, table, weights, ids, "embedding")

    def _layer(
        self, index: int, layer: Layer, normal: ir.Value, residual: ir.Value, following_norm: str
    ) -> tuple[ir.Value, ir.Value]:
        """Return (normalised input of what follows, residual stream)."""
        attended = self._attention(index, layer, normal)
        normal, residual = self._add_and_norm(
            residual, attended, f"{layer.prefix}.post_attention_layernorm.weight", f"{layer.prefix}.attention_residual"
        )
        fed = self._feed_forward(layer, normal)
        return self._add_and_norm(residual, fed, following_norm, f"{layer.prefix}.residual")

    def _attention(self, index: int, layer: Layer, normal: ir.Value) -> ir.Value:
        attention = layer.attention
        prefix = f"{layer.prefix}.self_attn"
        projections = [f"{prefix}.{part}_proj" for part in ("q", "k", "v")]
        past = [self._past(index, part, attention) for part in ("key", "value")]
        packed = self._matmul(normal, projections, f"{prefix}.qkv", bias=attention.qkv_bias)
        query: Sequence[ir.Value | None] = [packed, None, None]
        if attention.qk_norm:
            query = self._normed_heads(packed, attention, prefix)
        inputs = [*query, *past, self._seqlens, self._total, *self._rotary_tables(attention)]
        attributes = {
            "num_heads": attention.heads,
            "kv_num_heads": attention.kv_heads,
            "do_rotary": 1,
            "rotary_interleaved": 0,
            "scale": float(attention.head_dim**-0.5),
        }
        context, *present = self._nodes_out(
            "GroupQueryAttention",
            inputs,
            [f"{prefix}.context", f"present.{index}.key", f"present.{index}.value"],
            attributes,
            domain=_MICROSOFT,
        )
        for value, earlier in zip(present, past, strict=True):
            value.type, value.shape = earlier.type, earlier.shape
            self._outputs.append(value)
        return self._matmul(context, [f"{prefix}.o_proj"], f"{prefix}.output", bias=False)

    def _normed_heads(self, packed: ir.Value, attention: Attention, prefix: str) -> list[ir.Value]:
        """Split the packed projections and normalise each query and key head: the CPU's attention has no norm."""
        widths = np.array([attention.query_width, attention.kv_width, attention.kv_width], np.int64)
        sizes = self._initializer(f"{self._architecture.name}.qkv_widths", widths)
        parts = self._nodes_out("Split", [packed, sizes], [f"{prefix}.{part}" for part in "qkv"], {"axis": -1})
        normed = [
            self._head_norm(parts[0], attention.head_dim, attention.query_width, f"{prefix}.q_norm"),
            self._head_norm(parts[1], attention.head_dim, attention.kv_width, f"{prefix}.k_norm"),
        ]
        return [*normed, parts[2]]

    def _head_norm(self, value: ir.Value, head_dim: int, width: int, name: str) -> ir.Value:
        by_head = self._initializer(f"shape.heads.{width}", np.array([0, 0, width // head_dim, head_dim], np.int64))
        by_token = self._initializer(f"shape.tokens.{width}", np.array([0, 0, width], np.int64))
        heads = self._node("Reshape", [value, by_head], f"{name}.heads")
        normal = self._norm(heads, f"{name}.weight")
        return self._node("Reshape", [normal, by_token], f"{name}.tokens")

    def _feed_forward(self, layer: Layer, normal: ir.Value) -> ir.Value:
        prefix = f"{layer.prefix}.mlp"
        gate = self._matmul(normal, [f"{prefix}.gate_proj"], f"{prefix}.gate", bias=False)
        up = self._matmul(normal, [f"{prefix}.up_proj"], f"{prefix}.up", bias=False)
        activated = self._node("QuickGelu", [gate], f"{prefix}.silu", {"alpha": 1.0}, domain=_MICROSOFT)
        gated = self._node("Mul", [activated, up], f"{prefix}.gated")
        return self._matmul(gated, [f"{prefix}.down_proj"], f"{prefix}.down", bias=False)

    def _head(self, normal: ir.Value, rows: ir.Value) -> None:
        architecture = self._architecture
        flat = self._initializer("shape.rows", np.array([-1, architecture.hidden], np.int64))
        hidden = self._node("Reshape", [normal, flat], "hidden")
        wanted = self._node("Gather", [hidden, rows], "wanted", {"axis": 0})
        matrix = self._checkpoint.read(architecture.head)
        logits = self._multiply(wanted, matrix, self._preset.head, "lm_head", None)
        if self._preset.rescoring:
            logits = self._rescored(logits, wanted, matrix, self._preset.rescoring)
        logits.name = "logits"
        logits.type = ir.TensorType(ir.DataType.FLOAT)
        logits.shape = ir.Shape(["wanted", architecture.vocabulary])
        self._outputs.insert(0, logits)

    def _rescored(
        self, logits: ir.Value, wanted: ir.Value, matrix: npt.NDArray[np.float32], rescoring: Rescoring
    ) -> ir.Value:
        """Replace the greatest logits of each row by those that finer weights give."""
        count = min(rescoring.tokens, self._architecture.vocabulary)
        counted = self._initializer("rescoring.tokens", np.array([count], np.int64))
        last = self._initializer("rescoring.axis", np.array([2], np.int64))
        names = ["rescoring.greatest", "rescoring.ids"]
        _, ids = self._nodes_out("TopK", [logits, counted], names, {"axis": -1, "largest": 1, "sorted": 0})
        rows = self._rows(self._architecture.head, matrix, rescoring.weights, ids, "rescoring.rows")
        column = self._node("Unsqueeze", [wanted, last], "rescoring.column")
        products = self._node("MatMul", [rows, column], "rescoring.products")
        finer = self._node("Squeeze", [products, last], "rescoring.logits")
        return self._node("ScatterElements", [logits, ids, finer], "rescored", {"axis": 1})

    # Pieces that several parts share.

    def _rows(
        self, name: str, table: npt.NDArray[np.float32], weights: Weights, ids: ir.Value, output: str
    ) -> ir.Value:
        """Gather rows of the tensor called `name` as floats. Each form of a tensor is held once."""
        held = f"{name}.rows{weights.bits}.{weights.block}"
        if f"{held}.packed" not in self._initializers:
            blocks = quantise(table, weights)
            self._initializer(f"{held}.packed", blocks.packed.reshape(blocks.packed.shape[0], -1))
            self._initializer(f"{held}.scales", blocks.scales)
        inputs = [self._initializers[f"{held}.packed"], ids, self._initializers[f"{held}.scales"]]
        attributes = {
            "bits": weights.bits,
            "block_size": weights.block,
            "gather_axis": 0,
            "quantize_axis": 1,
        }
        return self._node("GatherBlockQuantized", inputs, output, attributes, domain=_MICROSOFT)

    def _past(self, index: int, part: str, attention: Attention) -> ir.Value:
        shape: list[int | str] = ["batch", attention.kv_heads, "capacity", attention.head_dim]
        return self._input(f"past_key_values.{index}.{part}", ir.DataType.FLOAT, shape)

    def _rotary_tables(self, attention: Attention) -> list[ir.Value]:
        """Cosine and sine of position * theta^(-2i/d), float32 [context, head_dim / 2], computed in doubles."""
        key = f"rotary.{attention.rope_theta:g}.{attention.head_dim}"
        if f"{key}.cos" not in self._initializers:
            exponents = np.arange(0, attention.head_dim, 2, dtype=np.float64) / attention.head_dim
            angles = np.outer(np.arange(self._architecture.context_tokens), attention.rope_theta**-exponents)
            self._initializer(f"{key}.cos", np.cos(angles).astype(np.float32))
            self._initializer(f"{key}.sin", np.sin(angles).astype(np.float32))
        return [self._initializers[f"{key}.cos"], self._initializers[f"{key}.sin"]]

    def _matmul(self, value: ir.Value, projections: Sequence[str], name: str, *, bias: bool) -> ir.Value:
        """Multiply by one matrix, or by several side by side in one launch."""
        matrix = np.concatenate([self._checkpoint.read(f"{part}.weight") for part in projections])
        added = np.concatenate([self._checkpoint.read(f"{part}.bias") for part in projections]) if bias else None
        leading = f"{projections[0]}.weight"
        weights = self._preset.weights(leading, self._architecture.depth(leading))
        return self._multiply(value, matrix, weights, name, added)

    def _multiply(
        self,
        value: ir.Value,
        matrix: npt.NDArray[np.float32],
        weights: Weights,
        name: str,
        bias: npt.NDArray[np.float32] | None,
    ) -> ir.Value:
        added = None if bias is None else self._initializer(f"{name}.bias", bias)
        if weights.is_float:
            transposed = self._initializer(f"{name}.weight", np.ascontiguousarray(matrix.T))
            product = self._node("MatMul", [value, transposed], name if added is None else f"{name}.product")
            return product if added is None else self._node("Add", [product, added], name)
        blocks = quantise(matrix, weights)
        zeros = None if blocks.zero_points is None else self._initializer(f"{name}.zero_points", blocks.zero_points)
        inputs = [
            value,
            self._initializer(f"{name}.packed", blocks.packed),
            self._initializer(f"{name}.scales", blocks.scales),
            zeros,
            None,
            added,
        ]
        while inputs[-1] is None:
            inputs.pop()
        attributes = {
            "K": matrix.shape[1],
            "N": matrix.shape[0],
            "bits": weights.bits,
            "block_size": weights.block,
            "accuracy_level": weights.accuracy_level,
        }
        return self._node("MatMulNBits", inputs, name, attributes, domain=_MICROSOFT)

    def _norm(self, value: ir.Value, weight: str) -> ir.Value:
        gamma = self._initializer(weight, self._checkpoint.read(weight))
        attributes = {"axis": -1, "epsilon": self._architecture.norm_epsilon}
        return self._node("SimplifiedLayerNormalization", [value, gamma], f"{weight}.normal", attributes)

    def _add_and_norm(self, residual: ir.Value, addend: ir.Value, weight: str, name: str) -> tuple[ir.Value, ir.Value]:
        gamma = self._initializer(weight, self._checkpoint.read(weight))
        normal, _, _, total = self._nodes_out(
            "SkipSimplifiedLayerNormalization",
            [residual, addend, gamma],
            [f"{weight}.normal", "", "", name],
            {"epsilon": self._architecture.norm_epsilon},
            domain=_MICROSOFT,
        )
        return normal, total

    # The graph's own vocabulary.

    def _input(self, name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> ir.Value:
        value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
        self._inputs.append(value)
        return value

    def _initializer(self, name: str, array: npt.NDArray[np.generic]) -> ir.Value:
        if name not in self._initializers:
            self._initializers[name] = self._data.append(name, array)
        return self._initializers[name]

    def _node(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        output: str,
        attributes: dict[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> ir.Value:
        return self._nodes_out(op, inputs, [output], attributes, domain=domain)[0]

    def _nodes_out(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        outputs: Sequence[str],
        attributes: dict[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> Sequence[ir.Value]:
        values = [ir.Value(name=name) for name in outputs]
        node = ir.node(op, inputs, attributes or {}, domain=domain, outputs=values, name=outputs[0])
        self._nodes.append(node)
        return values
