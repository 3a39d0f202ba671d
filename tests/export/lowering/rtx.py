"""The real parser and builder of TensorRT for RTX, which need no GPU: what they make of a graph, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest

from appliance.artefact.manifest import GRAPH
from tests.export.lowering.graphs import load

trt = pytest.importorskip(
    "tensorrt_rtx_bindings", reason="TensorRT for RTX is not installed: pip install '.[tensorrt]'"
)

CAPACITY, SLOTS, CHUNK = 64, 4, 16


class _Logger(trt.ILogger):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.heard: list[str] = []

    def log(self, severity: Any, text: str) -> None:
        if severity <= trt.ILogger.WARNING:
            self.heard.append(text)


# TensorRT keeps the first logger of a process for as long as anything made with it lives.
_LOGGER = _Logger()


@dataclass
class Parsed:
    """A network, and all that TensorRT needs to live as long as it.

    Attributes:
        accepted: whether the parser took the whole graph.
        errors: what it said against it.
        network, builder, parser: TensorRT's.
        before: what was heard before, in lines.
    """

    accepted: bool
    errors: list[str]
    network: Any
    builder: Any
    parser: Any
    before: int

    @property
    def heard(self) -> list[str]:
        """Warnings and errors since the parsing began, but for the reminder that 64-bit integers are 64 bits wide."""
        return [line for line in _LOGGER.heard[self.before :] if "Int64 binding" not in line]

    @property
    def inputs(self) -> dict[str, Any]:
        """The network's inputs by name."""
        return {tensor.name: tensor for tensor in map(self.network.get_input, range(self.network.num_inputs))}

    @property
    def outputs(self) -> dict[str, Any]:
        """The network's outputs by name."""
        return {tensor.name: tensor for tensor in map(self.network.get_output, range(self.network.num_outputs))}

    @property
    def layers(self) -> list[Any]:
        """The network's layers."""
        return [self.network.get_layer(index) for index in range(self.network.num_layers)]

    def plan_bytes(self) -> int | None:
        """Build a plan for Ada GPUs with a profile for prefill and one for decoding; its size, or None if it failed."""
        config = self.builder.create_builder_config()
        for batch, length in ((1, CHUNK), (SLOTS, 1)):
            profile = self.builder.create_optimization_profile()
            for name, tensor in self.inputs.items():
                rest = tuple(tensor.shape)[1:]
                # A prefill wants the logits of its last token, a decoding those of each row.
                most = {"input_ids": (batch, length)}.get(name, (batch, *rest))
                profile.set_shape(name, (1,) * len(most) if name == "input_ids" else (1, *rest), most, most)
            config.add_optimization_profile(profile)
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM89, 0)
        plan = self.builder.build_serialized_network(self.network, config)
        return None if plan is None else int(plan.nbytes)


def parse(folder: Path, model: onnx.ModelProto | None = None, *, capacity: int | None = CAPACITY) -> Parsed:
    """Parse the graph in `folder`, or `model` with the weights there, its cache's capacity made a number or left."""
    model = model or load(folder)
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if capacity is not None and dimension.dim_param == "capacity":
                dimension.dim_value = capacity
    # The parser reads the weights beside the file that it is given.
    fixed = folder / f"fixed-{GRAPH}"
    onnx.save(model, fixed)
    before = len(_LOGGER.heard)
    builder = trt.Builder(_LOGGER)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, _LOGGER)
    accepted = parser.parse_from_file(str(fixed))
    errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
    return Parsed(accepted, errors, network, builder, parser, before)
