"""Lowering for ONNX Runtime: grouped-query attention with an aliased cache, n-bit matrices, logits of selected rows.

Inputs and outputs are the contract with `appliance.engine`, which docs/graph.md specifies. It reads one tensor of the
checkpoint at a time. The preset decides the quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from appliance.artefact.manifest import GRAPH
from export.architecture import Architecture, Attention, Layer
from export.architecture.description import GELU_TANH
from export.checkpoint import Checkpoint
from export.lowering.data_file import DataFile
from export.lowering.decoder import DecoderLowering, Progress
from export.lowering.element import Element
from export.lowering.rounding import round_results
from export.presets import Preset, Rescoring, Weights
from export.quantise import quantise

OPSET = 21
IR_VERSION = 10
DATA = f"{GRAPH}.data"
_MICROSOFT = "com.microsoft"


def build(
    checkpoint: Checkpoint, architecture: Architecture, preset: Preset, tokens: int, folder: Path, progress: Progress
) -> None:
    """Write model.onnx and model.onnx.data into `folder`.

    Args:
        checkpoint: the weights.
        architecture: the model's description.
        preset: the format of each matrix, and the activations' type.
        tokens: number of the tokenizer's tokens, among which a device selects its candidates.
        folder: an existing folder without these files.
        progress: called with (layers done, total layers); embedding and head count as one each.

    Raises:
        QualityError: a weight is outside the range of the preset's type.
    """
    with DataFile(folder / DATA) as data:
        graph = OrtLowering(checkpoint, architecture, preset, tokens, data).graph({"": OPSET, _MICROSOFT: 1}, progress)
    if preset.emulated:
        round_results(graph, Element.of(preset).rounded_to, until="logits")
    model = ir.Model(graph, ir_version=IR_VERSION, producer_name="appliance-export")
    ir.save(model, folder / GRAPH)


class OrtLowering(DecoderLowering):
    """See DecoderLowering."""

    def _add_position_inputs(self) -> None:
        self._seqlens = self._nodes.input("seqlens_k", ir.DataType.INT32, ["batch"])
        self._total = self._nodes.input("total_sequence_length", ir.DataType.INT32, [])

    def _embedding(self, ids: ir.Value) -> ir.Value:
        name = self._architecture.embedding
        weights = self._preset.embedding
        table = self._checkpoint.read(name)
        if weights.is_float:
            return self._nodes.node("Gather", [self._float(name, table), ids], "embedding")
        return self._rows(name, table, weights, ids, "embedding")

    def _attention(self, index: int, layer: Layer, normal: ir.Value) -> ir.Value:
        attention = layer.attention
        prefix = f"{layer.prefix}.self_attn"
        projections = [f"{prefix}.{part}_proj" for part in ("q", "k", "v")]
        packed = self._matmul(normal, projections, f"{prefix}.qkv", bias=attention.qkv_bias)
        query: Sequence[ir.Value | None] = [packed, None, None]
        if attention.qk_norm:
            query = self._normed_heads(packed, attention, prefix)
        inputs = [*query, *self._past(index), self._seqlens, self._total, *self._rotary_tables(attention)]
        attributes: dict[str, int | float] = {
            "num_heads": attention.heads,
            "kv_num_heads": attention.kv_heads,
            "do_rotary": 1,
            "rotary_interleaved": 0,
            "scale": attention.scale,
        }
        if attention.window is not None:
            attributes["local_window_size"] = attention.window
        names = [f"{prefix}.context", f"{prefix}.key_cache", f"{prefix}.value_cache"]
        context, *present = self._nodes.node_of_many(
            "GroupQueryAttention", inputs, names, attributes, domain=_MICROSOFT
        )
        self._presents.append(present)
        return self._matmul(context, [f"{prefix}.o_proj"], f"{prefix}.output")

    def _past(self, index: int) -> Sequence[ir.Value | None]:
        """The cache of a layer: keys and values."""
        return self._pasts[index]

    def _normed_heads(self, packed: ir.Value, attention: Attention, prefix: str) -> list[ir.Value]:
        """Split the packed projections and normalise each query and key head: the CPU's attention has no norm."""
        widths = np.array([attention.query_width, attention.kv_width, attention.kv_width], np.int64)
        sizes = self._nodes.constant(f"{self._architecture.name}.qkv_widths", widths)
        parts = self._nodes.node_of_many("Split", [packed, sizes], [f"{prefix}.{part}" for part in "qkv"], {"axis": -1})
        normed = [
            self._head_norm(parts[0], attention.head_dim, attention.query_width, f"{prefix}.q_norm"),
            self._head_norm(parts[1], attention.head_dim, attention.kv_width, f"{prefix}.k_norm"),
        ]
        return [*normed, parts[2]]

    def _head_norm(self, value: ir.Value, head_dim: int, width: int, name: str) -> ir.Value:
        by_head = self._nodes.constant(f"shape.heads.{width}", np.array([0, 0, width // head_dim, head_dim], np.int64))
        by_token = self._nodes.constant(f"shape.tokens.{width}", np.array([0, 0, width], np.int64))
        heads = self._nodes.node("Reshape", [value, by_head], f"{name}.heads")
        normal = self._norm(heads, f"{name}.weight")
        return self._nodes.node("Reshape", [normal, by_token], f"{name}.tokens")

    def _activated(self, value: ir.Value, activation: str, name: str) -> ir.Value:
        if activation == GELU_TANH:
            return self._nodes.node("FastGelu", [value], name, domain=_MICROSOFT)
        return self._nodes.node("QuickGelu", [value], name, {"alpha": 1.0}, domain=_MICROSOFT)

    def _logits(self, wanted: ir.Value) -> ir.Value:
        architecture = self._architecture
        if architecture.tied_embeddings and self._preset.shares_tied_table:
            return self._nodes.node("Gemm", [wanted, self._nodes.held(architecture.head)], "lm_head", {"transB": 1})
        matrix = self._checkpoint.read(architecture.head)
        logits = self._multiply(wanted, matrix, self._preset.head, "lm_head", None)
        if self._preset.rescoring is None:
            return logits
        return self._rescored(logits, wanted, matrix, self._preset.rescoring)

    def _rescored(
        self, logits: ir.Value, wanted: ir.Value, matrix: npt.NDArray[np.float32], rescoring: Rescoring
    ) -> ir.Value:
        """Compute the greatest logits of each row again with finer weights, and replace them."""
        count = min(rescoring.tokens, self._architecture.vocabulary)
        counted = self._nodes.constant("rescoring.tokens", np.array([count], np.int64))
        last = self._nodes.constant("rescoring.axis", np.array([2], np.int64))
        names = ["rescoring.greatest", "rescoring.ids"]
        _, ids = self._nodes.node_of_many("TopK", [logits, counted], names, {"axis": -1, "largest": 1, "sorted": 0})
        rows = self._rows(self._architecture.head, matrix, rescoring.weights, ids, "rescoring.rows")
        column = self._nodes.node("Unsqueeze", [wanted, last], "rescoring.column")
        products = self._nodes.node("MatMul", [rows, column], "rescoring.products")
        finer = self._nodes.node("Squeeze", [products, last], "rescoring.logits")
        return self._nodes.node("ScatterElements", [logits, ids, finer], "rescored", {"axis": 1})

    def _rows(
        self, name: str, table: npt.NDArray[np.float32], weights: Weights, ids: ir.Value, output: str
    ) -> ir.Value:
        """Gather rows of the tensor `name` as floats. Each format of a tensor is stored once."""
        held = f"{name}.rows{weights.bits}.{weights.block}"
        if not self._nodes.holds(f"{held}.packed"):
            blocks = quantise(table, weights)
            self._nodes.constant(f"{held}.packed", blocks.packed.reshape(blocks.packed.shape[0], -1))
            self._float(f"{held}.scales", blocks.scales)
        inputs = [self._nodes.held(f"{held}.packed"), ids, self._nodes.held(f"{held}.scales")]
        attributes = {
            "bits": weights.container_bits,
            "block_size": weights.block,
            "gather_axis": 0,
            "quantize_axis": 1,
        }
        return self._nodes.node("GatherBlockQuantized", inputs, output, attributes, domain=_MICROSOFT)

    def _multiply(
        self,
        value: ir.Value,
        matrix: npt.NDArray[np.float32],
        weights: Weights,
        name: str,
        bias: npt.NDArray[np.float32] | None,
    ) -> ir.Value:
        added = None if bias is None else self._float(f"{name}.bias", bias)
        if weights.is_float:
            transposed = self._float(f"{name}.weight", np.ascontiguousarray(matrix.T))
            product = self._nodes.node("MatMul", [value, transposed], name if added is None else f"{name}.product")
            return product if added is None else self._nodes.node("Add", [product, added], name)
        blocks = quantise(matrix, weights)
        zeros = None if blocks.zero_points is None else self._nodes.constant(f"{name}.zero_points", blocks.zero_points)
        inputs = [
            value,
            self._nodes.constant(f"{name}.packed", blocks.packed),
            self._float(f"{name}.scales", blocks.scales),
            zeros,
            None,
            added,
        ]
        while inputs[-1] is None:
            inputs.pop()
        attributes = {
            "K": matrix.shape[1],
            "N": matrix.shape[0],
            "bits": weights.container_bits,
            "block_size": weights.block,
            "accuracy_level": weights.accuracy_level,
        }
        return self._nodes.node("MatMulNBits", inputs, name, attributes, domain=_MICROSOFT)

    def _norm(self, value: ir.Value, weight: str) -> ir.Value:
        gamma = self._float(weight, self._norm_weight(weight))
        attributes = {"axis": -1, "epsilon": self._architecture.norm_epsilon}
        return self._nodes.node("SimplifiedLayerNormalization", [value, gamma], f"{weight}.normal", attributes)

    def _add_and_norm(self, residual: ir.Value, addend: ir.Value, weight: str, name: str) -> tuple[ir.Value, ir.Value]:
        gamma = self._float(weight, self._norm_weight(weight))
        normal, _, _, total = self._nodes.node_of_many(
            "SkipSimplifiedLayerNormalization",
            [residual, addend, gamma],
            [f"{weight}.normal", "", "", name],
            {"epsilon": self._architecture.norm_epsilon},
            domain=_MICROSOFT,
        )
        return normal, total
