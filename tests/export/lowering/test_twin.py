"""The twin of a preset: the artefact's own constants, and every result rounded, in a graph that a CPU computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper
import pytest

from appliance.artefact.manifest import GRAPH, ORT_CPU, ORT_CUDA, TENSORRT
from appliance.errors import QualityError
from appliance.onnx_runtime import ort
from export.lowering import twin
from export.lowering.element import Element
from export.presets import PRESETS, REFERENCE, Preset
from tests.checkpoints import KV_HEADS, head_dim
from tests.export.lowering.graphs import build, load, runner
from tests.refusals import refused

TENSORRT_HALVES = [name for name, preset in PRESETS.items() if preset.runtime == TENSORRT]
IDS = tuple(range(40, 90))
HALVES = [name for name, preset in PRESETS.items() if preset.runtime == ORT_CUDA]


def logits(folder: Path, preset: Preset, model_type: str = "qwen2") -> npt.NDArray[np.float32]:
    return np.concatenate(list(runner(build(folder, preset, model_type), preset, model_type).logits(IDS)))


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "llama", "granite", "granitemoehybrid", "gemma3_text"])
def test_its_constants_have_the_values_of_the_artefacts(tmp_path: Path, name: str, model_type: str) -> None:
    artefact = _constants(build(tmp_path / "artefact", replace(PRESETS[name], runtime=ORT_CPU), model_type))
    stands_in = _constants(build(tmp_path / "twin", PRESETS[name], model_type, how=twin.build))
    assert artefact.keys() == stands_in.keys()
    for tensor, value in artefact.items():
        assert np.array_equal(value.astype(np.float64), stands_in[tensor].astype(np.float64)), tensor


@pytest.mark.parametrize("name", TENSORRT_HALVES)
@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "llama", "granite", "granitemoehybrid", "gemma3_text"])
def test_its_constants_are_what_tensorrt_dequantises_its_own_to(tmp_path: Path, name: str, model_type: str) -> None:
    preset = PRESETS[name]
    artefact = build(tmp_path / "artefact", preset, model_type, inner=192)
    stands_in = _constants(build(tmp_path / "twin", preset, model_type, inner=192, how=twin.build))
    constants = _constants(artefact)
    constants |= {node.output[0]: _dequantised(node, constants) for node in load(artefact).graph.node}
    matrices = {tensor: value for tensor, value in stands_in.items() if value.ndim == 2 and "rotary" not in tensor}
    assert len(matrices) == 2 + 2 * 5
    for tensor, value in matrices.items():
        own = constants[tensor].T if tensor == "lm_head.weight" else constants[tensor]
        assert np.array_equal(value, own.astype(np.float32)), tensor


@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "llama", "granite", "granitemoehybrid", "gemma3_text"])
def test_float16_on_the_cpu_says_what_its_twin_says(tmp_path: Path, model_type: str) -> None:
    """The one 16-bit type that a CPU runs. It leaves out the rounding between two operators that it casts around."""
    preset = PRESETS["fp16"]
    graph = build(tmp_path / "artefact", preset, model_type)
    session = ort.InferenceSession(graph / GRAPH, providers=["CPUExecutionProvider"])
    cache = np.zeros((1, KV_HEADS, len(IDS), head_dim(model_type)), np.float16)
    given = {
        "input_ids": np.array([IDS], np.int64),
        "seqlens_k": np.array([len(IDS) - 1], np.int32),
        "total_sequence_length": np.array(len(IDS), np.int32),
        "logits_rows": np.arange(len(IDS)),
        **{f"past_key_values.{layer}.{part}": cache for layer in range(2) for part in ("key", "value")},
    }
    (own,) = session.run(["logits"], given)
    twins = logits(tmp_path / "twin", preset.twin, model_type)
    reference = logits(tmp_path / "reference", REFERENCE, model_type)
    own_error, twin_error = (np.abs(found[:, : twins.shape[1]] - reference).mean() for found in (own, twins))
    assert 0 < own_error < 2 * twin_error < 4 * own_error
    assert twin_error < 0.002 * np.abs(reference).max()


def test_rounding_shows_and_more_of_it_shows_more(tmp_path: Path) -> None:
    reference = logits(tmp_path / "reference", REFERENCE)
    weights = replace(PRESETS["bf16"], emulated=False, activations="float32", runtime=ORT_CPU)
    errors = [
        float(np.abs(logits(tmp_path / name, preset) - reference).mean())
        for name, preset in (
            ("none", weights),
            ("fp16", PRESETS["fp16"].twin),
            ("bf16", PRESETS["bf16"].twin),
        )
    ]
    assert errors[0] == 0
    assert 0 < 4 * errors[1] < errors[2]


def test_every_result_before_the_logits_is_rounded(tmp_path: Path) -> None:
    model = load(build(tmp_path, PRESETS["bf16"].twin))
    rounded = {node.input[0] for node in model.graph.node if node.op_type == "Cast"}
    made = {node.output[0] for node in model.graph.node if node.op_type not in {"Cast", "Gather", "Reshape", "Split"}}
    assert made <= rounded
    assert "model.layers.0.residual" in rounded


def test_a_weight_beyond_the_range_of_the_type_is_refused_by_name() -> None:
    values = np.array([1.0, -70000.0], np.float32)
    with refused(QualityError, "a.weight", 70000, "float16"):
        Element.of(PRESETS["fp16"]).hold("a.weight", values)
    held = Element.of(PRESETS["bf16"]).hold("a.weight", values)
    assert held.astype(np.float32) == pytest.approx(values, rel=0.004)


def _constants(graph: Path) -> dict[str, npt.NDArray[np.generic]]:
    model = onnx.load(graph / GRAPH)
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _dequantised(node: onnx.NodeProto, constants: dict[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    """What DequantizeLinear gives by its definition, rounded to the type of its scales; of other nodes nothing."""
    if node.op_type != "DequantizeLinear":
        return np.empty(0)
    elements, scales = (constants[name] for name in node.input)
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    axis, block = attributes["axis"], attributes.get("block_size")
    if block is None:
        spread = np.expand_dims(scales.astype(np.float32), 1 - axis)
    else:
        spread = scales.astype(np.float32).repeat(block, axis)
    return (elements.astype(np.float32) * spread).astype(scales.dtype)
