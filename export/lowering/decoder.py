"""The common part of the lowerings: the contract's inputs and outputs, the loop over the layers, reading tensors.

Each lowering implements norm, matrix product and attention for its runtime.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from appliance.artefact.manifest import ORT_CPU
from export.architecture import Architecture, Attention, Layer
from export.checkpoint import Checkpoint
from export.lowering.candidates import add_candidates
from export.lowering.data_file import DataFile
from export.lowering.element import Element
from export.lowering.nodes import Nodes
from export.presets import FLOAT32, Preset, Weights
from export.quantise import holds

Progress = Callable[[int, int], None]

_PARTS = ("key", "value")


class DecoderLowering(ABC):
    """Builds one graph: adds nodes while it iterates over the description."""

    def __init__(
        self, checkpoint: Checkpoint, architecture: Architecture, preset: Preset, tokens: int, data: DataFile
    ) -> None:
        self._checkpoint = checkpoint
        self._architecture = architecture
        self._preset = preset
        self._tokens = tokens
        self._element = Element.of(preset)
        self._nodes = Nodes(data)
        self._pasts: list[tuple[ir.Value, ...]] = []
        self._presents: list[Sequence[ir.Value]] = []

    def graph(self, opsets: Mapping[str, int], progress: Progress) -> ir.Graph:
        """Build the graph. `progress` gets (layers done, total layers); embedding and head count as one layer each."""
        total = len(self._architecture.layers) + 2
        self._ids = self._nodes.input("input_ids", ir.DataType.INT64, ["batch", "length"])
        self._add_position_inputs()
        rows = self._nodes.input("logits_rows", ir.DataType.INT64, ["wanted"])
        for index, layer in enumerate(self._architecture.layers):
            shape = _cache_shape(layer.attention)
            names = [f"past_key_values.{index}.{part}" for part in _PARTS]
            self._pasts.append(tuple(self._nodes.input(name, self._element.onnx, shape) for name in names))
        residual = self._scaled(self._embedding(self._ids), self._architecture.embedding_multiplier, "embedding")
        progress(1, total)
        normal = self._layers(residual, progress)
        self._head(normal, rows)
        for index, layer in enumerate(self._architecture.layers):
            for part, value in zip(_PARTS, self._presents[index], strict=True):
                name = f"present.{index}.{part}"
                self._nodes.output(value, name, self._element.onnx, _cache_shape(layer.attention))
        progress(total, total)
        return self._nodes.graph(self._architecture.name, opsets)

    # The parts of a model, in order from input to output.

    def _layers(self, residual: ir.Value, progress: Progress) -> ir.Value:
        """Return the normalised output of the last layer, [batch, length, hidden]."""
        layers = self._architecture.layers
        norms = [f"{layer.prefix}.input_layernorm.weight" for layer in layers] + [self._architecture.final_norm]
        normal = self._norm(residual, norms[0])
        for index, layer in enumerate(layers):
            attended = self._added(layer, self._attention(index, layer, normal), "attention")
            middle = f"{layer.prefix}.{layer.middle_norm}.weight"
            normal, residual = self._add_and_norm(residual, attended, middle, f"{layer.prefix}.attention_residual")
            fed = self._added(layer, self._feed_forward(layer, normal), "feedforward")
            normal, residual = self._add_and_norm(residual, fed, norms[index + 1], f"{layer.prefix}.residual")
            progress(index + 2, len(layers) + 2)
        return normal

    def _feed_forward(self, layer: Layer, normal: ir.Value) -> ir.Value:
        prefix, feed_forward = f"{layer.prefix}.mlp", layer.feed_forward
        if feed_forward.gate_up:
            both, inner = [f"{layer.prefix}.{feed_forward.gate_up}"], feed_forward.inner
            gate = self._matmul(normal, both, f"{prefix}.gate", rows=slice(0, inner))
            up = self._matmul(normal, both, f"{prefix}.up", rows=slice(inner, 2 * inner))
        else:
            gate = self._matmul(normal, [f"{prefix}.gate_proj"], f"{prefix}.gate")
            up = self._matmul(normal, [f"{prefix}.up_proj"], f"{prefix}.up")
        activated = self._activated(gate, feed_forward.activation, f"{prefix}.{feed_forward.activation}")
        gated = self._nodes.node("Mul", [activated, up], f"{prefix}.gated")
        return self._matmul(gated, [f"{layer.prefix}.{feed_forward.down}"], f"{prefix}.down")

    def _head(self, normal: ir.Value, rows: ir.Value) -> None:
        architecture = self._architecture
        flat = self._nodes.constant("shape.rows", np.array([-1, architecture.hidden], np.int64))
        hidden = self._nodes.node("Reshape", [normal, flat], "hidden")
        wanted = self._nodes.node("Gather", [hidden, rows], "wanted", {"axis": 0})
        # The logits are linear in the hidden state, which is shorter. Granite's divisors are powers of two.
        logits = self._logits(self._scaled(wanted, 1 / architecture.logits_divisor, "wanted"))
        if self._element.name != FLOAT32:
            logits = self._nodes.node("Cast", [logits], "logits", {"to": int(ir.DataType.FLOAT)})
        self._nodes.output(logits, "logits", ir.DataType.FLOAT, ["wanted", architecture.vocabulary])
        if self._preset.runtime != ORT_CPU:
            add_candidates(self._nodes, logits, architecture.vocabulary, self._tokens)

    # The operations that each runtime implements differently.

    @abstractmethod
    def _add_position_inputs(self) -> None:
        """Add the inputs with the number of rows in the cache."""

    @abstractmethod
    def _embedding(self, ids: ir.Value) -> ir.Value:
        """The tokens' embeddings, [batch, length, hidden]."""

    @abstractmethod
    def _attention(self, index: int, layer: Layer, normal: ir.Value) -> ir.Value:
        """Attention of a layer from its input to its output projection. It adds the layer's cache to `_presents`."""

    @abstractmethod
    def _activated(self, value: ir.Value, activation: str, name: str) -> ir.Value:
        """Apply an activation of FeedForward."""

    @abstractmethod
    def _norm(self, value: ir.Value, weight: str) -> ir.Value:
        """RMSNorm over the last dimension with the tensor `weight`."""

    @abstractmethod
    def _add_and_norm(self, residual: ir.Value, addend: ir.Value, weight: str, name: str) -> tuple[ir.Value, ir.Value]:
        """Return (normalised sum, the sum, called `name`)."""

    @abstractmethod
    def _logits(self, wanted: ir.Value) -> ir.Value:
        """The output head, [wanted, vocabulary], in the activations' type."""

    @abstractmethod
    def _multiply(
        self,
        value: ir.Value,
        matrix: npt.NDArray[np.float32],
        weights: Weights,
        name: str,
        bias: npt.NDArray[np.float32] | None,
    ) -> ir.Value:
        """Multiply by the transpose of `matrix` [out, in], stored in the format `weights`, and add the bias."""

    # Operations that several parts use.

    def _matmul(
        self,
        value: ir.Value,
        projections: Sequence[str],
        name: str,
        *,
        bias: bool = False,
        rows: slice = slice(None),
    ) -> ir.Value:
        """Multiply by one matrix, or by several concatenated matrices in one operator; `rows` selects some outputs."""
        matrix = np.concatenate([self._checkpoint.read(f"{part}.weight") for part in projections])[rows]
        added = np.concatenate([self._checkpoint.read(f"{part}.bias") for part in projections]) if bias else None
        leading = f"{projections[0]}.weight"
        weights = self._preset.kept_weights([self._checkpoint.source_type(f"{part}.weight") for part in projections])
        if weights is None or not holds(matrix, weights):
            weights = self._preset.weights(leading, self._architecture.depth(leading))
        return self._multiply(value, matrix, weights, name, added)

    def _added(self, layer: Layer, value: ir.Value, part: str) -> ir.Value:
        """What a part of a layer adds to the residual stream, given the part's result."""
        if layer.norms_outputs:
            value = self._norm(value, f"{layer.prefix}.post_{part}_layernorm.weight")
        return self._scaled(value, self._architecture.residual_multiplier, f"{layer.prefix}.{part}")

    def _norm_weight(self, name: str) -> npt.NDArray[np.float32]:
        """What RMSNorm multiplies by."""
        weight = self._checkpoint.read(name)
        return weight + np.float32(self._architecture.norm_offset) if self._architecture.norm_offset else weight

    def _scaled(self, value: ir.Value, factor: float, name: str) -> ir.Value:
        """Multiply by a number; without a node if it is 1."""
        if factor == 1:
            return value
        constant = self._float(f"factor.{factor:.9g}", np.array(factor, np.float32))
        return self._nodes.node("Mul", [value, constant], f"{name}.scaled")

    def _rotary_tables(self, attention: Attention) -> list[ir.Value]:
        """Cosine and sine of each position's angles, [context, head_dim / 2], computed in doubles.

        They have the activations' type: the rotation operator of neither runtime accepts another type.
        """
        rotary = attention.rotary
        key = f"rotary.{rotary.name}.{attention.head_dim}"
        if not self._nodes.holds(f"{key}.cos"):
            cosines, sines = rotary.tables(attention.head_dim, self._architecture.context_tokens)
            self._float(f"{key}.cos", cosines)
            self._float(f"{key}.sin", sines)
        return [self._nodes.held(f"{key}.cos"), self._nodes.held(f"{key}.sin")]

    def _float(self, name: str, array: npt.NDArray[np.float32]) -> ir.Value:
        """A constant in the activations' type."""
        return self._nodes.constant(name, self._element.hold(name, array))


def _cache_shape(attention: Attention) -> list[int | str]:
    return ["batch", attention.kv_heads, "capacity", attention.head_dim]
