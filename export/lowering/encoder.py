"""Lowering of an encoder for ONNX Runtime's CPU: token ids and lengths in, one vector or logit for each text out.

Inputs: input_ids int64 [batch, tokens], padded at the end with any id; lengths int32 [batch], each from 1 to tokens;
with a head also first_lengths int32 [batch], the number of tokens before the second text of each pair.
Output: embedding float32 [batch, hidden]; with a head, logit float32 [batch, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from appliance.artefact.manifest import CLS, GRAPH, GRAPH_DATA
from export.architecture.encoder import Encoder, Head, Pooling
from export.checkpoint import Checkpoint
from export.lowering.data_file import DataFile
from export.lowering.nodes import Nodes
from export.lowering.ort import IR_VERSION, OPSET

_MICROSOFT = "com.microsoft"
_FLOAT = ir.DataType.FLOAT


def build(
    checkpoint: Checkpoint, encoder: Encoder, end: Pooling | Head, folder: Path, progress: Callable[[int, int], None]
) -> None:
    """Write model.onnx and model.onnx.data with float32 weights into `folder`.

    Args:
        checkpoint: the weights.
        encoder: the model's description.
        end: how token states become one vector, or one logit.
        folder: an existing folder without these files.
        progress: called with (done, total).
    """
    with DataFile(folder / GRAPH_DATA) as data:
        graph = _Lowering(checkpoint, encoder, end, Nodes(data)).graph(progress)
    ir.save(ir.Model(graph, ir_version=IR_VERSION, producer_name="appliance-export"), folder / GRAPH)


class _Lowering:
    def __init__(self, checkpoint: Checkpoint, encoder: Encoder, end: Pooling | Head, nodes: Nodes) -> None:
        self._checkpoint = checkpoint
        self._encoder = encoder
        self._end = end
        self._nodes = nodes

    def graph(self, progress: Callable[[int, int], None]) -> ir.Graph:
        ids = self._nodes.input("input_ids", ir.DataType.INT64, ["batch", "tokens"])
        lengths = self._nodes.input("lengths", ir.DataType.INT32, ["batch"])
        count = self._nodes.node("Shape", [ids], "tokens", {"start": 1, "end": 2})
        types = self._types(count) if isinstance(self._end, Head) else None
        states = self._embedding(ids, count, types)
        for index in range(self._encoder.layers):
            states = self._layer(self._encoder.layer(index), states, lengths)
            progress(index + 1, self._encoder.layers)
        if isinstance(self._end, Head):
            self._nodes.output(self._logit(states, self._end), "logit", _FLOAT, ["batch", 1])
        else:
            pooled = self._pooled(states, lengths, count, self._end)
            self._nodes.output(pooled, "embedding", _FLOAT, ["batch", self._encoder.hidden])
        return self._nodes.graph(self._encoder.name, {"": OPSET, _MICROSOFT: 1})

    def _types(self, count: ir.Value) -> ir.Value:
        """The row of each token's type: 0 in the first text of a pair, 1 in the second, if the table has it."""
        nodes = self._nodes
        first_lengths = nodes.input("first_lengths", ir.DataType.INT32, ["batch"])
        axis = nodes.constant("types.axis", np.array([1], np.int64))
        zero, one = (nodes.constant(f"types.{value}", np.array(value, np.int64)) for value in (0, 1))
        scalar = nodes.node("Squeeze", [count], "types.count")
        places = nodes.node("Range", [zero, scalar, one], "types.places")
        wide = nodes.node("Cast", [first_lengths], "types.first_lengths", {"to": int(ir.DataType.INT64)})
        column = nodes.node("Unsqueeze", [wide, axis], "types.column")
        second = nodes.node("GreaterOrEqual", [places, column], "types.second")
        table = self._read("embeddings.token_type_embeddings.weight")
        rows = [nodes.constant(f"types.row.{each}", table[each]) for each in (min(1, len(table) - 1), 0)]
        wide_second = nodes.node(
            "Unsqueeze", [second, nodes.constant("types.last", np.array([2], np.int64))], "types.of"
        )
        return nodes.node("Where", [wide_second, *rows], "types")

    def _embedding(self, ids: ir.Value, count: ir.Value, types: ir.Value | None) -> ir.Value:
        words = self._nodes.node("Gather", [self._held("embeddings.word_embeddings.weight"), ids], "words")
        table = self._read("embeddings.position_embeddings.weight")[self._encoder.first_position :]
        if types is not None:
            words = self._nodes.node("Add", [words, types], "words.typed")
        else:
            # A text alone has token type 0, so this row is a part of every position.
            # The quality report finds weights that are not finite.
            with np.errstate(all="ignore"):
                table = table + self._read("embeddings.token_type_embeddings.weight")[0]
        start = self._nodes.constant("zero", np.array([0], np.int64))
        held = self._nodes.constant("positions", table)
        positions = self._nodes.node("Slice", [held, start, count, start], "positions.used")
        return self._add_and_norm(words, positions, "embeddings.LayerNorm", None)

    def _layer(self, prefix: str, states: ir.Value, lengths: ir.Value) -> ir.Value:
        attention = f"{prefix}.attention"
        parts = [f"{attention}.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._read(f"{part}.weight").T for part in parts], axis=1)
        bias = np.concatenate([self._read(f"{part}.bias") for part in parts])
        inputs = [
            states,
            self._nodes.constant(f"{attention}.weight", np.ascontiguousarray(weight)),
            self._nodes.constant(f"{attention}.bias", bias),
            lengths,
        ]
        attributes = {"num_heads": self._encoder.heads}
        context = self._nodes.node("Attention", inputs, f"{attention}.context", attributes, domain=_MICROSOFT)
        product = self._product(context, f"{attention}.output.dense")
        states = self._add_and_norm(
            product, states, f"{attention}.output.LayerNorm", self._held(f"{attention}.output.dense.bias")
        )
        inner = self._product(states, f"{prefix}.intermediate.dense")
        bias_of_inner = self._held(f"{prefix}.intermediate.dense.bias")
        active = self._nodes.node("BiasGelu", [inner, bias_of_inner], f"{prefix}.active", domain=_MICROSOFT)
        product = self._product(active, f"{prefix}.output.dense")
        return self._add_and_norm(
            product, states, f"{prefix}.output.LayerNorm", self._held(f"{prefix}.output.dense.bias")
        )

    def _logit(self, states: ir.Value, head: Head) -> ir.Value:
        nodes = self._nodes
        state = self._first(states)
        for name in (head.dense, head.output):
            matrix = np.ascontiguousarray(self._checkpoint.read(f"{name}.weight").T)
            product = nodes.node("MatMul", [state, nodes.constant(f"{name}.weight", matrix)], f"{name}.product")
            bias = nodes.constant(f"{name}.bias", self._checkpoint.read(f"{name}.bias"))
            state = nodes.node("Add", [product, bias], f"{name}.sum")
            if name == head.dense:
                state = nodes.node("Tanh", [state], f"{name}.active")
        return state

    def _pooled(self, states: ir.Value, lengths: ir.Value, count: ir.Value, pooling: Pooling) -> ir.Value:
        pooled = self._first(states) if pooling.mode == CLS else self._mean(states, lengths, count)
        if not pooling.normalise:
            return pooled
        return self._nodes.node("LpNormalization", [pooled], "normalised", {"axis": -1, "p": 2})

    def _first(self, states: ir.Value) -> ir.Value:
        first = self._nodes.constant("first", np.array(0, np.int64))
        return self._nodes.node("Gather", [states, first], "pooled", {"axis": 1})

    def _mean(self, states: ir.Value, lengths: ir.Value, count: ir.Value) -> ir.Value:
        """The mean of each text's own tokens: a row of weights, 1 / length or 0, times the states."""
        nodes = self._nodes
        axis = nodes.constant("pooling.axis", np.array([1], np.int64))
        zero, one = (nodes.constant(f"pooling.{value}", np.array(value, np.int64)) for value in (0, 1))
        scalar = nodes.node("Squeeze", [count], "pooling.count")
        places = nodes.node("Range", [zero, scalar, one], "pooling.places")
        wide = nodes.node("Cast", [lengths], "pooling.lengths", {"to": int(ir.DataType.INT64)})
        column = nodes.node("Unsqueeze", [wide, axis], "pooling.column")
        inside = nodes.node("Less", [places, column], "pooling.inside")
        chosen = nodes.node("Cast", [inside], "pooling.chosen", {"to": int(_FLOAT)})
        divisor = nodes.node("Cast", [column], "pooling.divisor", {"to": int(_FLOAT)})
        weights = nodes.node("Div", [chosen, divisor], "pooling.weights")
        row = nodes.node("Unsqueeze", [weights, axis], "pooling.row")
        return nodes.node("Squeeze", [nodes.node("MatMul", [row, states], "pooling.sum"), axis], "pooled")

    def _product(self, value: ir.Value, name: str) -> ir.Value:
        matrix = np.ascontiguousarray(self._read(f"{name}.weight").T)
        return self._nodes.node("MatMul", [value, self._nodes.constant(f"{name}.weight", matrix)], f"{name}.product")

    def _add_and_norm(self, value: ir.Value, skip: ir.Value, norm: str, bias: ir.Value | None) -> ir.Value:
        inputs = [value, skip, self._held(f"{norm}.weight"), self._held(f"{norm}.bias")]
        if bias is not None:
            inputs.append(bias)
        attributes = {"epsilon": self._encoder.norm_epsilon}
        return self._nodes.node("SkipLayerNormalization", inputs, norm, attributes, domain=_MICROSOFT)

    def _held(self, name: str) -> ir.Value:
        return self._nodes.constant(name, self._read(name))

    def _read(self, name: str) -> npt.NDArray[np.float32]:
        """A tensor of the encoder, whose name in the checkpoint has the encoder's prefix."""
        return self._checkpoint.read(f"{self._encoder.prefix}{name}")
