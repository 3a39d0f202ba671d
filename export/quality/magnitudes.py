"""Measures on the reference how large the values of a model become, to decide whether they fit 16-bit floats."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from appliance.artefact.manifest import GRAPH
from export.quality.graph_runner import GraphRunner
from export.quality.reading import Material

FLOAT16_MAX = float(np.finfo(np.float16).max)
# The text set is short, and one overflow spoils all later tokens of a sequence. Twice the largest measured value must
# still fit.
ALLOWED = FLOAT16_MAX / 2
_MAGNITUDES = "magnitudes.json"
_PREFIX = "magnitude:"
_DIGITS = 3

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Magnitudes:
    """The largest magnitude of each result of a graph, by name, over a text set."""

    greatest: Mapping[str, float]

    @property
    def worst(self) -> tuple[str, float]:
        """The tensor with the largest magnitude, and this magnitude."""
        return max(self.greatest.items(), key=lambda item: item[1])

    @property
    def fit(self) -> bool:
        """Whether all magnitudes are within ALLOWED."""
        return self.worst[1] <= ALLOWED

    @classmethod
    def open(cls, folder: Path) -> Magnitudes:
        """Open the output of `write_magnitudes`, which its stage has verified."""
        return cls(json.loads((folder / _MAGNITUDES).read_text(encoding="utf-8")))

    def document(self) -> dict[str, Any]:
        """For the quality report."""
        tensor, magnitude = self.worst
        return {
            "range": FLOAT16_MAX,
            "allowed": ALLOWED,
            "kept": self.fit,
            "greatest": {"tensor": tensor, "magnitude": magnitude},
            "magnitudes": dict(self.greatest),
        }


def add_magnitudes(folder: Path) -> None:
    """Add an output with the magnitude of each result to the graph in `folder`, whose results are 32-bit floats."""
    model = ir.load(folder / GRAPH)
    graph = model.graph
    for node in tuple(graph):
        for value in node.outputs:
            if value.name:
                graph.outputs.append(_magnitude(graph, node, value))
    ir.save(model, folder / GRAPH)


def write_magnitudes(runner: GraphRunner, material: Material, folder: Path, progress: Progress) -> None:
    """Run a graph from `add_magnitudes` on all texts, and store the largest magnitudes.

    Args:
        runner: runner of that graph.
        material: the texts.
        folder: folder for the output file.
        progress: called with (texts read, total texts).
    """
    greatest: dict[str, float] = {}
    for index, ids in enumerate(material.texts):
        for name, value in runner.values(ids, _PREFIX):
            tensor = name.removeprefix(_PREFIX)
            greatest[tensor] = max(greatest.get(tensor, 0.0), round(float(value), _DIGITS))
        progress(index + 1, len(material.texts))
    (folder / _MAGNITUDES).write_text(json.dumps(greatest), encoding="utf-8")


def _magnitude(graph: ir.Graph, node: ir.Node, value: ir.Value) -> ir.Value:
    name = f"{_PREFIX}{value.name}"
    sizes = ir.node("Abs", [value], outputs=[ir.Value(name=f"{name}.sizes")], name=f"{name}.sizes")
    scalar = ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([]))
    graph.insert_after(node, (sizes, ir.node("ReduceMax", sizes.outputs, {"keepdims": 0}, outputs=[scalar], name=name)))
    return scalar
