"""A graph under construction: collects inputs, nodes, constants and outputs in the order of their addition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from export.lowering.data_file import DataFile


class Nodes:
    """Collects the parts of one graph. It does not depend on any operator."""

    def __init__(self, data: DataFile) -> None:
        """Start an empty graph; large constants are written to `data`."""
        self.inputs: list[ir.Value] = []
        self.outputs: list[ir.Value] = []
        self._data = data
        self._nodes: list[ir.Node] = []
        self._constants: dict[str, ir.Value] = {}

    def input(self, name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> ir.Value:
        """Add an input of the graph."""
        value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
        self.inputs.append(value)
        return value

    def output(self, value: ir.Value, name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> None:
        """Rename `value` and make it an output of the graph."""
        value.name, value.type, value.shape = name, ir.TensorType(dtype), ir.Shape(shape)
        self.outputs.append(value)

    def holds(self, name: str) -> bool:
        """Whether a constant of this name exists."""
        return name in self._constants

    def constant(self, name: str, array: npt.NDArray[np.generic]) -> ir.Value:
        """The constant of this name; it is created from `array` on the first call."""
        if name not in self._constants:
            self._constants[name] = self._data.append(name, array)
        return self._constants[name]

    def held(self, name: str) -> ir.Value:
        """The constant of this name, which must exist."""
        return self._constants[name]

    def node(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        output: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> ir.Value:
        """Add a node with one output, named `output`."""
        return self.node_of_many(op, inputs, [output], attributes, domain=domain)[0]

    def node_of_many(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        outputs: Sequence[str],
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> Sequence[ir.Value]:
        """Add a node with several outputs; an output with an empty name is omitted."""
        values = [ir.Value(name=name) for name in outputs]
        node = ir.node(op, inputs, attributes or {}, domain=domain, outputs=values, name=outputs[0])
        self._nodes.append(node)
        return values

    def graph(self, name: str, opsets: Mapping[str, int]) -> ir.Graph:
        """The graph with all added parts."""
        return ir.Graph(
            self.inputs,
            self.outputs,
            nodes=self._nodes,
            initializers=list(self._constants.values()),
            opset_imports=dict(opsets),
            name=name,
        )
