"""Lowering for TensorRT: only standard operators, a cache that is updated in place, positions and mask in the graph.

Inputs and outputs are the contract with `appliance.engine`, which docs/graph-tensorrt.md specifies. It reads one
tensor of the checkpoint at a time. The preset decides the quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from appliance.artefact.manifest import GRAPH
from export.architecture import Architecture, Attention, Layer
from export.architecture.description import GELU_TANH
from export.checkpoint import Checkpoint
from export.lowering.data_file import DataFile
from export.lowering.decoder import DecoderLowering, Progress
from export.presets import FLOAT32, WHOLE_ROW, Preset, Weights
from export.quantise import quantise_signed

# The first opset with TensorScatter.
OPSET = 24
IR_VERSION = 11
DATA = f"{GRAPH}.data"
_SIGNED: Mapping[int, npt.DTypeLike] = {8: np.int8, 4: ml_dtypes.int4}


def build(
    checkpoint: Checkpoint, architecture: Architecture, preset: Preset, tokens: int, folder: Path, progress: Progress
) -> None:
    """Write model.onnx and model.onnx.data into `folder`.

    Args:
        checkpoint: the weights.
        architecture: the model's description.
        preset: the format of each matrix, and the activations' type.
        tokens: number of the tokenizer's tokens, among which the candidates are selected.
        folder: an existing folder without these files.
        progress: called with (layers done, total layers); embedding and head count as one each.

    Raises:
        QualityError: a weight is outside the range of the preset's type.
        UnsupportedError: the width of a matrix is not a multiple of the preset's block.
    """
    with DataFile(folder / DATA) as data:
        graph = _Lowering(checkpoint, architecture, preset, tokens, data).graph({"": OPSET}, progress)
    model = ir.Model(graph, ir_version=IR_VERSION, producer_name="appliance-export")
    ir.save(model, folder / GRAPH)


class _Lowering(DecoderLowering):
    """See DecoderLowering."""

    def _add_position_inputs(self) -> None:
        self._write_indices = self._nodes.input("write_indices", ir.DataType.INT64, ["batch"])

    def _layers(self, residual: ir.Value, progress: Progress) -> ir.Value:
        """Compute positions and mask once, for all layers."""
        begin = self._nodes.node("Unsqueeze", [self._write_indices, self._axes(1)], "positions.begin")
        steps = self._range_over(self._ids, 1, "positions.steps")
        positions = self._nodes.node("Add", [begin, steps], "positions")
        # A step may be padded beyond the context: padded rows have no meaning, but need positions within the tables.
        final = self._nodes.constant("positions.final", np.array(self._architecture.context_tokens - 1, np.int64))
        self._rotary_positions = self._nodes.node("Min", [positions, final], "positions.rotary")
        columns = self._range_over(self._pasts[0][0], 2, "mask.columns")
        last = self._nodes.node("Unsqueeze", [positions, self._axes(1, 3)], "mask.last")
        # bool [batch, 1, length, capacity]: a token attends to the columns up to its own position.
        mask = self._nodes.node("LessOrEqual", [columns, last], "mask")
        self._masks: dict[int | None, ir.Value] = {None: mask}
        windows = {layer.attention.window for layer in self._architecture.layers}
        for window in sorted(each for each in windows if each is not None):
            # And to no column before its window.
            tokens = self._nodes.constant(f"mask.window{window}", np.array(window, np.int64))
            before = self._nodes.node("Sub", [last, tokens], f"mask.before{window}")
            within = self._nodes.node("Greater", [columns, before], f"mask.within{window}")
            self._masks[window] = self._nodes.node("And", [mask, within], f"mask.sliding{window}")
        return super()._layers(residual, progress)

    def _embedding(self, ids: ir.Value) -> ir.Value:
        name = self._architecture.embedding
        self._embedded = self._held(name, self._checkpoint.read(name), self._preset.embedding)
        return self._nodes.node("Gather", [self._embedded, ids], "embedding")

    def _attention(self, index: int, layer: Layer, normal: ir.Value) -> ir.Value:
        attention = layer.attention
        prefix = f"{layer.prefix}.self_attn"
        projections = [f"{prefix}.{part}_proj" for part in ("q", "k", "v")]
        packed = self._matmul(normal, projections, f"{prefix}.qkv", bias=attention.qkv_bias)
        widths = self._shape("qkv_widths", [attention.query_width, attention.kv_width, attention.kv_width])
        names = [f"{prefix}.{part}" for part in "qkv"]
        parts = self._nodes.node_of_many("Split", [packed, widths], names, {"axis": -1})
        query, key = (
            self._rotated(self._heads(part, attention, name, norm=attention.qk_norm), attention, name)
            for part, name in zip(parts[:2], names[:2], strict=True)
        )
        value = self._heads(parts[2], attention, names[2], norm=False)
        cache = [
            self._written(past, rows, f"{prefix}.{part}_cache")
            for past, rows, part in zip(self._pasts[index], (key, value), ("key", "value"), strict=True)
        ]
        self._presents.append(cache)
        attributes = {"is_causal": 0, "scale": attention.scale}
        context = self._nodes.node(
            "Attention", [query, *cache, self._masks[attention.window]], f"{prefix}.context", attributes
        )
        by_token = self._nodes.node("Transpose", [context], f"{prefix}.by_token", {"perm": [0, 2, 1, 3]})
        joined = self._nodes.node("Reshape", [by_token, self._shape("joined", [0, 0, -1])], f"{prefix}.joined")
        return self._matmul(joined, [f"{prefix}.o_proj"], f"{prefix}.output")

    def _heads(self, value: ir.Value, attention: Attention, name: str, *, norm: bool) -> ir.Value:
        """Split [batch, length, width] into [batch, heads, length, head_dim]; `norm` normalises each head."""
        shape = self._shape(f"heads.{attention.head_dim}", [0, 0, -1, attention.head_dim])
        heads = self._nodes.node("Reshape", [value, shape], f"{name}.heads")
        if norm:
            heads = self._norm(heads, f"{name}_norm.weight")
        return self._nodes.node("Transpose", [heads], f"{name}.by_head", {"perm": [0, 2, 1, 3]})

    def _rotated(self, heads: ir.Value, attention: Attention, name: str) -> ir.Value:
        inputs = [heads, *self._rotary_tables(attention), self._rotary_positions]
        return self._nodes.node("RotaryEmbedding", inputs, f"{name}.rotated")

    def _written(self, past: ir.Value, rows: ir.Value, name: str) -> ir.Value:
        """The cache with the step's rows added; TensorRT writes them in place."""
        attributes = {"axis": 2, "mode": "linear"}
        return self._nodes.node("TensorScatter", [past, rows, self._write_indices], name, attributes)

    def _logits(self, wanted: ir.Value) -> ir.Value:
        """Gemm multiplies by the rows of a table, so tied embeddings are stored once; MatMul would need columns."""
        table = self._embedded
        if not (self._architecture.tied_embeddings and self._preset.shares_tied_table):
            matrix = self._checkpoint.read(self._architecture.head)
            table = self._held("lm_head.weight", matrix, self._preset.head)
        return self._nodes.node("Gemm", [wanted, table], "lm_head", {"transB": 1})

    def _multiply(
        self,
        value: ir.Value,
        matrix: npt.NDArray[np.float32],
        weights: Weights,
        name: str,
        bias: npt.NDArray[np.float32] | None,
    ) -> ir.Value:
        factor = self._held(f"{name}.weight", matrix, weights, is_transposed=True)
        product = self._nodes.node("MatMul", [value, factor], name if bias is None else f"{name}.product")
        if bias is None:
            return product
        return self._nodes.node("Add", [product, self._float(f"{name}.bias", bias)], name)

    def _held(
        self, name: str, matrix: npt.NDArray[np.float32], weights: Weights, *, is_transposed: bool = False
    ) -> ir.Value:
        """A matrix [out, in], or [in, out] if transposed, in the type of the activations."""
        if weights.is_float:
            return self._float(name, np.ascontiguousarray(matrix.T) if is_transposed else matrix)
        signed = quantise_signed(matrix, weights, self._element.rounded_to.numpy(), name)
        elements, scales = signed.elements, signed.scales
        if is_transposed:
            elements, scales = elements.T, scales.T
        along = 0 if is_transposed else 1
        attributes = {"axis": along, "block_size": weights.block}
        if weights.block == WHOLE_ROW:
            scales = scales.reshape(-1)
            attributes = {"axis": 1 - along}
        inputs = [
            self._nodes.constant(f"{name}.elements", elements.astype(_SIGNED[weights.bits])),
            self._float(f"{name}.scales", np.ascontiguousarray(scales)),
        ]
        return self._nodes.node("DequantizeLinear", inputs, name, attributes)

    def _norm(self, value: ir.Value, weight: str) -> ir.Value:
        """Compute in 32-bit floats: the square of a large 16-bit float overflows or loses most of its digits."""
        held = self._element.hold(weight, self._norm_weight(weight)).astype(np.float32)
        gamma = self._nodes.constant(weight, held)
        wide = self._cast(value, ir.DataType.FLOAT, f"{weight}.wide")
        attributes = {"axis": -1, "epsilon": self._architecture.norm_epsilon}
        normal = self._nodes.node("RMSNormalization", [wide, gamma], f"{weight}.normal", attributes)
        return self._cast(normal, self._element.onnx, f"{weight}.narrow")

    def _add_and_norm(self, residual: ir.Value, addend: ir.Value, weight: str, name: str) -> tuple[ir.Value, ir.Value]:
        total = self._nodes.node("Add", [residual, addend], name)
        return self._norm(total, weight), total

    def _activated(self, value: ir.Value, activation: str, name: str) -> ir.Value:
        if activation == GELU_TANH:
            return self._nodes.node("Gelu", [value], name, {"approximate": "tanh"})
        sigmoid = self._nodes.node("Sigmoid", [value], f"{name}.sigmoid")
        return self._nodes.node("Mul", [value, sigmoid], name)

    # Operations that several parts use.

    def _cast(self, value: ir.Value, to: ir.DataType, name: str) -> ir.Value:
        """Convert to a type, if the activations are not 32-bit floats."""
        if self._element.name == FLOAT32:
            return value
        return self._nodes.node("Cast", [value], name, {"to": int(to)})

    def _range_over(self, value: ir.Value, axis: int, name: str) -> ir.Value:
        """0, 1, … up to the size of an axis, int64."""
        sizes = self._nodes.node("Shape", [value], f"{name}.sizes", {"start": axis, "end": axis + 1})
        size = self._nodes.node("Squeeze", [sizes, self._axes(0)], f"{name}.size")
        zero, one = (self._nodes.constant(f"int64.{number}", np.array(number, np.int64)) for number in (0, 1))
        return self._nodes.node("Range", [zero, size, one], name)

    def _axes(self, *axes: int) -> ir.Value:
        return self._nodes.constant(f"axes.{'.'.join(map(str, axes))}", np.array(axes, np.int64))

    def _shape(self, name: str, sizes: Sequence[int]) -> ir.Value:
        return self._nodes.constant(f"shape.{name}", np.array(sizes, np.int64))
