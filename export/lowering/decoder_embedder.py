"""Lowering of a decoder that embeds texts, for ONNX Runtime's CPU: the layers of `ort` without cache and head.

Inputs: input_ids int64 [batch, tokens], padded at the end with any id; lengths int32 [batch], each from 1 to tokens.
Output: embedding float32 [batch, hidden], of each text's last token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from appliance.artefact.manifest import GRAPH, GRAPH_DATA
from export.architecture import Architecture
from export.checkpoint import Checkpoint
from export.lowering.data_file import DataFile
from export.lowering.decoder import Progress
from export.lowering.ort import IR_VERSION, OPSET, OrtLowering
from export.presets import REFERENCE

_MICROSOFT = "com.microsoft"
_AFTER_LAYERS = 2


def build(
    checkpoint: Checkpoint, architecture: Architecture, folder: Path, progress: Progress, *, normalise: bool
) -> None:
    """Write model.onnx and model.onnx.data with float32 weights into `folder`.

    Args:
        checkpoint: the weights.
        architecture: the model's description; its head is not read.
        folder: an existing folder without these files.
        progress: called with (done, total).
        normalise: whether each embedding has the length 1.
    """
    with DataFile(folder / GRAPH_DATA) as data:
        lowering = _Lowering(checkpoint, architecture, REFERENCE, architecture.vocabulary, data)
        lowering.normalise = normalise
        graph = lowering.graph({"": OPSET, _MICROSOFT: 1}, progress)
    ir.save(ir.Model(graph, ir_version=IR_VERSION, producer_name="appliance-export"), folder / GRAPH)


class _Lowering(OrtLowering):
    """See DecoderLowering.

    Attributes:
        normalise: whether each embedding has the length 1.
    """

    normalise = False

    def graph(self, opsets: Mapping[str, int], progress: Progress) -> ir.Graph:
        """Build the graph."""
        nodes, layers = self._nodes, self._architecture.layers
        ids = nodes.input("input_ids", ir.DataType.INT64, ["batch", "tokens"])
        self._lengths = nodes.input("lengths", ir.DataType.INT32, ["batch"])
        self._ids = ids
        self._add_position_inputs()
        words = self._embedding(ids)
        # The graph's output has the name of this value.
        words.name = "words"
        residual = self._scaled(words, self._architecture.embedding_multiplier, "words")
        progress(1, len(layers) + _AFTER_LAYERS)
        states = self._layers(residual, progress)
        vector = self._last(states)
        if self.normalise:
            vector = nodes.node("LpNormalization", [vector], "normalised", {"axis": -1, "p": 2})
        nodes.output(vector, "embedding", ir.DataType.FLOAT, ["batch", self._architecture.hidden])
        progress(len(layers) + _AFTER_LAYERS, len(layers) + _AFTER_LAYERS)
        return nodes.graph(self._architecture.name, opsets)

    def _add_position_inputs(self) -> None:
        """Compute what is an input of the graph with a cache: all tokens are new."""
        nodes = self._nodes
        one = nodes.constant("one", np.array(1, np.int32))
        self._seqlens = nodes.node("Sub", [self._lengths, one], "seqlens_k")
        count = nodes.node("Shape", [self._ids], "tokens", {"start": 1, "end": 2})
        scalar = nodes.node("Squeeze", [count], "tokens.count")
        self._total = nodes.node("Cast", [scalar], "total_sequence_length", {"to": int(ir.DataType.INT32)})

    def _past(self, _index: int) -> Sequence[ir.Value | None]:
        # Then the operator's keys and values are those of its own tokens.
        return (None, None)

    def _last(self, states: ir.Value) -> ir.Value:
        """The state of each text's last token, [batch, hidden]."""
        nodes = self._nodes
        axis = nodes.constant("last.axis", np.array([1], np.int64))
        wide = nodes.node("Cast", [self._seqlens], "last.places", {"to": int(ir.DataType.INT64)})
        places = nodes.node("Unsqueeze", [wide, axis], "last.column")
        return nodes.node("GatherND", [states, places], "last", {"batch_dims": 1})
