"""Lowering for ONNX Runtime: grouped-query attention with an aliased cache, n-bit matrices, logits of wanted rows.

Inputs and outputs are the contract with `appliance.engine`; docs/graph.md has it as a table. It reads one tensor of the
checkpoint at a time and decides nothing about quality: the preset does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from appliance.artefact.manifest import GRAPH, ORT_CUDA
from export.architecture import Architecture, Attention, Layer
from export.checkpoint import Checkpoint
from export.lowering.candidates import add_candidates
from export.lowering.data_file import DataFile
from export.lowering.element import Element
from export.lowering.nodes import Nodes
from export.lowering.rounding import round_results
from export.presets import FLOAT32, Preset, Rescoring, Weights
from export.quantise import quantise

OPSET = 21
IR_VERSION = 10
DATA = f"{GRAPH}.data"
_MICROSOFT = "com.microsoft"
_PARTS = ("key", "value")

Progress = Callable[[int, int], None]


def build(
    checkpoint: Checkpoint, architecture: Architecture, preset: Preset, tokens: int, folder: Path, progress: Progress
) -> None:
    """Write model.onnx and model.onnx.data into `folder`.

    Args:
        checkpoint: the weights.
        architecture: what to compute.
        preset: how each matrix is held, and in which type the rest is computed.
        tokens: of the tokenizer; a device chooses its candidates among them.
        folder: exists and holds neither file.
        progress: called with (layers done, layers in all), counting embedding and head as one each.

    Raises:
        QualityError: a weight is beyond the range of the preset's type.
    """
    with DataFile(folder / DATA) as data:
        graph = _Lowering(checkpoint, architecture, preset, tokens, data).graph(progress)
    if preset.emulated:
        round_results(graph, Element.of(preset).rounded_to, until="logits")
    model = ir.Model(graph, ir_version=IR_VERSION, producer_name="appliance-export")
    ir.save(model, folder / GRAPH)


class _Lowering:
    """One run: collects nodes, initialisers and cache values while walking the description."""

    def __init__(
        self, checkpoint: Checkpoint, architecture: Architecture, preset: Preset, tokens: int, data: DataFile
    ) -> None:
        self._checkpoint = checkpoint
        self._architecture = architecture
        self._preset = preset
        self._tokens = tokens
        self._element = Element.of(preset)
        self._nodes = Nodes(data)
        self._present: dict[str, ir.Value] = {}

    def graph(self, progress: Progress) -> ir.Graph:
        architecture = self._architecture
        total = len(architecture.layers) + 2
        ids = self._nodes.input("input_ids", ir.DataType.INT64, ["batch", "length"])
        self._seqlens = self._nodes.input("seqlens_k", ir.DataType.INT32, ["batch"])
        self._total = self._nodes.input("total_sequence_length", ir.DataType.INT32, [])
        rows = self._nodes.input("logits_rows", ir.DataType.INT64, ["wanted"])
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
        for index, layer in enumerate(architecture.layers):
            for part in _PARTS:
                name = f"present.{index}.{part}"
                self._nodes.output(self._present[name], name, self._element.onnx, _cache_shape(layer.attention))
        progress(total, total)
        return self._nodes.graph(architecture.name, {"": OPSET, _MICROSOFT: 1})

    # The parts of a model, from input to output.

    def _embedding(self, ids: ir.Value) -> ir.Value:
        name = self._architecture.embedding
        weights = self._preset.embedding
        table = self._checkpoint.read(name)
        if weights.is_float:
            return self._nodes.node("Gather", [self._float(name, table), ids], "embedding")
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
        past = [
            self._nodes.input(f"past_key_values.{index}.{part}", self._element.onnx, _cache_shape(attention))
            for part in _PARTS
        ]
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
        names = [f"present.{index}.{part}" for part in _PARTS]
        context, *present = self._nodes.node_of_many(
            "GroupQueryAttention", inputs, [f"{prefix}.context", *names], attributes, domain=_MICROSOFT
        )
        self._present.update(zip(names, present, strict=True))
        return self._matmul(context, [f"{prefix}.o_proj"], f"{prefix}.output", bias=False)

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

    def _feed_forward(self, layer: Layer, normal: ir.Value) -> ir.Value:
        prefix = f"{layer.prefix}.mlp"
        gate = self._matmul(normal, [f"{prefix}.gate_proj"], f"{prefix}.gate", bias=False)
        up = self._matmul(normal, [f"{prefix}.up_proj"], f"{prefix}.up", bias=False)
        activated = self._nodes.node("QuickGelu", [gate], f"{prefix}.silu", {"alpha": 1.0}, domain=_MICROSOFT)
        gated = self._nodes.node("Mul", [activated, up], f"{prefix}.gated")
        return self._matmul(gated, [f"{prefix}.down_proj"], f"{prefix}.down", bias=False)

    def _head(self, normal: ir.Value, rows: ir.Value) -> None:
        architecture = self._architecture
        flat = self._nodes.constant("shape.rows", np.array([-1, architecture.hidden], np.int64))
        hidden = self._nodes.node("Reshape", [normal, flat], "hidden")
        wanted = self._nodes.node("Gather", [hidden, rows], "wanted", {"axis": 0})
        if architecture.tied_embeddings and self._preset.shares_tied_table:
            logits = self._nodes.node("Gemm", [wanted, self._nodes.held(architecture.head)], "lm_head", {"transB": 1})
        else:
            matrix = self._checkpoint.read(architecture.head)
            logits = self._multiply(wanted, matrix, self._preset.head, "lm_head", None)
            if self._preset.rescoring:
                logits = self._rescored(logits, wanted, matrix, self._preset.rescoring)
        if self._element.name != FLOAT32:
            logits = self._nodes.node("Cast", [logits], "logits", {"to": int(ir.DataType.FLOAT)})
        self._nodes.output(logits, "logits", ir.DataType.FLOAT, ["wanted", architecture.vocabulary])
        if self._preset.runtime == ORT_CUDA:
            add_candidates(self._nodes, logits, architecture.vocabulary, self._tokens)

    def _rescored(
        self, logits: ir.Value, wanted: ir.Value, matrix: npt.NDArray[np.float32], rescoring: Rescoring
    ) -> ir.Value:
        """Replace the greatest logits of each row by those that finer weights give."""
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

    # Pieces that several parts share.

    def _rows(
        self, name: str, table: npt.NDArray[np.float32], weights: Weights, ids: ir.Value, output: str
    ) -> ir.Value:
        """Gather rows of the tensor called `name` as floats. Each form of a tensor is held once."""
        held = f"{name}.rows{weights.bits}.{weights.block}"
        if not self._nodes.holds(f"{held}.packed"):
            blocks = quantise(table, weights)
            self._nodes.constant(f"{held}.packed", blocks.packed.reshape(blocks.packed.shape[0], -1))
            self._float(f"{held}.scales", blocks.scales)
        inputs = [self._nodes.held(f"{held}.packed"), ids, self._nodes.held(f"{held}.scales")]
        attributes = {
            "bits": weights.bits,
            "block_size": weights.block,
            "gather_axis": 0,
            "quantize_axis": 1,
        }
        return self._nodes.node("GatherBlockQuantized", inputs, output, attributes, domain=_MICROSOFT)

    def _rotary_tables(self, attention: Attention) -> list[ir.Value]:
        """Cosine and sine of position * theta^(-2i/d), [context, head_dim / 2], computed in doubles.

        They have the type of the activations: the attention takes no other.
        """
        key = f"rotary.{attention.rope_theta:g}.{attention.head_dim}"
        if not self._nodes.holds(f"{key}.cos"):
            exponents = np.arange(0, attention.head_dim, 2, dtype=np.float64) / attention.head_dim
            angles = np.outer(np.arange(self._architecture.context_tokens), attention.rope_theta**-exponents)
            self._float(f"{key}.cos", np.cos(angles).astype(np.float32))
            self._float(f"{key}.sin", np.sin(angles).astype(np.float32))
        return [self._nodes.held(f"{key}.cos"), self._nodes.held(f"{key}.sin")]

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
            "bits": weights.bits,
            "block_size": weights.block,
            "accuracy_level": weights.accuracy_level,
        }
        return self._nodes.node("MatMulNBits", inputs, name, attributes, domain=_MICROSOFT)

    def _norm(self, value: ir.Value, weight: str) -> ir.Value:
        gamma = self._float(weight, self._checkpoint.read(weight))
        attributes = {"axis": -1, "epsilon": self._architecture.norm_epsilon}
        return self._nodes.node("SimplifiedLayerNormalization", [value, gamma], f"{weight}.normal", attributes)

    def _add_and_norm(self, residual: ir.Value, addend: ir.Value, weight: str, name: str) -> tuple[ir.Value, ir.Value]:
        gamma = self._float(weight, self._checkpoint.read(weight))
        normal, _, _, total = self._nodes.node_of_many(
            "SkipSimplifiedLayerNormalization",
            [residual, addend, gamma],
            [f"{weight}.normal", "", "", name],
            {"epsilon": self._architecture.norm_epsilon},
            domain=_MICROSOFT,
        )
        return normal, total

    def _float(self, name: str, array: npt.NDArray[np.float32]) -> ir.Value:
        """A constant in the type that the graph computes in."""
        return self._nodes.constant(name, self._element.hold(name, array))


def _cache_shape(attention: Attention) -> list[int | str]:
    return ["batch", attention.kv_heads, "capacity", attention.head_dim]
