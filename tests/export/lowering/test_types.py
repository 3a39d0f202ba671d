"""Graphs for a GPU, proved as far as they can be without one: their types, their operators, their outputs."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import GRAPH, ORT_CPU, ORT_CUDA
from appliance.onnx_runtime import ort
from export.lowering.candidates import CANDIDATES
from export.presets import PRESETS, Preset
from tests.checkpoints import KV_HEADS, VOCABULARY, head_dim
from tests.export.lowering.graphs import build, load, manifest
from tests.export.lowering.signatures import check_types

CUDA_PRESETS = [preset for preset in PRESETS.values() if preset.runtime == ORT_CUDA]
every_preset = pytest.mark.parametrize("preset", CUDA_PRESETS, ids=lambda preset: preset.name)
every_model = pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "llama", "granite", "gemma3_text"])
ONNX = {"bfloat16": onnx.TensorProto.BFLOAT16, "float16": onnx.TensorProto.FLOAT16}


@every_preset
@every_model
@pytest.mark.parametrize("tie", [False, True])
def test_every_node_has_the_types_that_its_operator_and_its_cuda_kernel_take(
    tmp_path: Path, preset: Preset, model_type: str, tie: bool
) -> None:
    graph = build(tmp_path, preset, model_type, tie=tie)
    _check_structure(graph)
    types = check_types(load(graph))
    float_type = f"tensor({preset.activations})"
    assert types["model.layers.1.residual"] == float_type
    assert types["model.layers.0.self_attn.context"] == float_type


@every_preset
@every_model
def test_the_gate_lets_it_through(tmp_path: Path, preset: Preset, model_type: str) -> None:
    graph = build(tmp_path, preset, model_type)
    check_graph(graph, manifest(graph, preset, model_type))


@every_preset
@every_model
def test_inputs_and_outputs_are_those_of_the_contract(tmp_path: Path, preset: Preset, model_type: str) -> None:
    model = load(build(tmp_path, preset, model_type))
    inputs = {value.name: _form(value) for value in model.graph.input}
    outputs = {value.name: _form(value) for value in model.graph.output}
    cache = (ONNX[preset.activations], ["batch", KV_HEADS, "capacity", head_dim(model_type)])
    past = {f"past_key_values.{layer}.{part}": cache for layer in range(2) for part in ("key", "value")}
    assert inputs == {
        "input_ids": (onnx.TensorProto.INT64, ["batch", "length"]),
        "seqlens_k": (onnx.TensorProto.INT32, ["batch"]),
        "total_sequence_length": (onnx.TensorProto.INT32, []),
        "logits_rows": (onnx.TensorProto.INT64, ["wanted"]),
        **past,
    }
    assert outputs == {
        "logits": (onnx.TensorProto.FLOAT, ["wanted", VOCABULARY]),
        "candidate_logits": (onnx.TensorProto.FLOAT, ["wanted", CANDIDATES]),
        "candidate_ids": (onnx.TensorProto.INT64, ["wanted", CANDIDATES]),
        "log_normaliser": (onnx.TensorProto.FLOAT, ["wanted"]),
        **{name.replace("past_key_values", "present"): form for name, form in past.items()},
    }
    assert next(iter(outputs)) == "logits"


@every_preset
def test_this_machine_lacks_the_kernels_and_nothing_else(tmp_path: Path, preset: Preset) -> None:
    """ONNX Runtime itself resolves the graph's types and shapes before it looks for kernels."""
    graph = build(tmp_path, preset)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if preset.activations == "float16":
        # These run on the CPU, with casts put in.
        ort.InferenceSession(graph / GRAPH, options, providers=["CPUExecutionProvider"])
        return
    with pytest.raises(Exception, match="NOT_IMPLEMENTED") as caught:
        ort.InferenceSession(graph / GRAPH, options, providers=["CPUExecutionProvider"])
    assert "Could not find an implementation" in str(caught.value)


def test_of_tied_embeddings_one_table_serves_twice(tmp_path: Path) -> None:
    preset = PRESETS["bf16"]
    tied = load(build(tmp_path / "tied", preset, tie=True))
    apart = load(build(tmp_path / "apart", preset, tie=False))
    assert len(tied.graph.initializer) == len(apart.graph.initializer) - 1
    assert [node.op_type for node in tied.graph.node if "model.embed_tokens.weight" in node.input] == ["Gather", "Gemm"]


def test_presets_for_the_cpu_compute_in_32_bits_and_give_no_candidates(tmp_path: Path) -> None:
    for preset in PRESETS.values():
        if preset.runtime == ORT_CPU:
            model = load(build(tmp_path / preset.name, preset))
            assert not any(value.name.startswith("candidate") for value in model.graph.output)
            assert {value.type.tensor_type.elem_type for value in model.graph.output} == {onnx.TensorProto.FLOAT}


def _check_structure(graph: Path) -> None:
    """ONNX's own checker, which looks at the weights' file too; it must not know contributed operators."""
    model = load(graph)
    for node in model.graph.node:
        if node.op_type == "SimplifiedLayerNormalization":
            # ONNX Runtime keeps this one of its own in the standard domain.
            node.domain = "com.microsoft"
    checked = graph / "checked.onnx"
    onnx.save(model, checked)
    onnx.checker.check_model(checked)


def _form(value: onnx.ValueInfoProto) -> tuple[int, list[int | str]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
