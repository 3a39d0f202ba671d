"""The graph for TensorRT as the real parser and builder of TensorRT for RTX take it, without a GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import GRAPH, TENSORRT
from appliance.errors import UnsupportedError
from export.lowering.candidates import CANDIDATES
from export.presets import PRESETS, Preset
from tests.checkpoints import HIDDEN, KV_HEADS, VOCABULARY, head_dim
from tests.export.lowering.graphs import LAYERS, build, load, manifest
from tests.export.lowering.rtx import CAPACITY, Parsed, parse, trt
from tests.refusals import refused

# Wide enough for whole blocks of 4-bit weights.
INNER = 192
PLANS = [preset for preset in PRESETS.values() if preset.runtime == TENSORRT]
TYPES = {"bfloat16": trt.DataType.BF16, "float16": trt.DataType.HALF}
STEP_INPUTS = {"input_ids", "write_indices", "logits_rows"}
PASTS = {f"past_key_values.{layer}.{part}" for layer in range(LAYERS) for part in ("key", "value")}
PRESENTS = {name.replace("past_key_values", "present") for name in PASTS}

every_preset = pytest.mark.parametrize("preset", PLANS, ids=lambda preset: preset.name)
MODELS = ["qwen2", "qwen3", "llama", "granite", "gemma3_text"]
every_model = pytest.mark.parametrize("model_type", MODELS)
# Each preset and each model with both; to build a plan for all combinations would take twice as long.
pairs = pytest.mark.parametrize(
    ("preset", "model_type", "tie"),
    [
        pytest.param(preset, model_type, (place + shift) % 2 == 1, id=f"{preset.name}-{model_type}")
        for place, preset in enumerate(PLANS)
        for shift, model_type in enumerate(MODELS)
    ],
)


def unused_inputs(parsed: Parsed) -> set[str]:
    """Inputs that no layer reads."""
    read = [layer.get_input(index) for layer in parsed.layers for index in range(layer.num_inputs)]
    return parsed.inputs.keys() - {tensor.name for tensor in read if tensor is not None}


@pairs
def test_the_parser_takes_all_of_it_and_a_plan_is_built(
    tmp_path: Path, preset: Preset, model_type: str, tie: bool
) -> None:
    parsed = parse(build(tmp_path, preset, model_type, tie=tie, inner=INNER))
    assert (parsed.accepted, parsed.errors, parsed.heard) == (True, [], [])
    assert unused_inputs(parsed) == set()
    assert parsed.plan_bytes()
    assert parsed.heard == []


@every_preset
@every_model
def test_the_network_has_the_contracts_inputs_and_outputs(tmp_path: Path, preset: Preset, model_type: str) -> None:
    parsed = parse(build(tmp_path, preset, model_type, inner=INNER))
    cache = (TYPES[preset.activations], (-1, KV_HEADS, CAPACITY, head_dim(model_type)))
    assert {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in parsed.inputs.items()} == {
        "input_ids": (trt.DataType.INT64, (-1, -1)),
        "write_indices": (trt.DataType.INT64, (-1,)),
        "logits_rows": (trt.DataType.INT64, (-1,)),
        **dict.fromkeys(PASTS, cache),
    }
    assert {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in parsed.outputs.items()} == {
        "logits": (trt.DataType.FLOAT, (-1, VOCABULARY)),
        "candidate_logits": (trt.DataType.FLOAT, (-1, CANDIDATES)),
        "candidate_ids": (trt.DataType.INT64, (-1, CANDIDATES)),
        "log_normaliser": (trt.DataType.FLOAT, (-1,)),
        **dict.fromkeys(PRESENTS, cache),
    }


@every_model
def test_the_cache_is_one_that_tensorrt_updates_in_place(tmp_path: Path, model_type: str) -> None:
    parsed = parse(build(tmp_path, PRESETS["tensorrt-bf16"], model_type))
    updates = [layer for layer in parsed.layers if layer.type == trt.LayerType.KV_CACHE_UPDATE]
    assert {layer.get_output(0).name for layer in updates} == PRESENTS
    assert {layer.get_input(0).name for layer in updates} == PASTS
    attentions = [layer for layer in parsed.layers if layer.type == trt.LayerType.ATTENTION_OUTPUT]
    assert len(attentions) == LAYERS


def test_an_attention_that_counts_on_the_seventh_input_would_be_wrong_without_a_word_of_error(tmp_path: Path) -> None:
    """Why there is a mask: TensorRT accepts `nonpad_kv_seqlen`, mentions that it is unused, and goes on."""
    graph = build(tmp_path, PRESETS["tensorrt-bf16"])
    model = load(graph)
    model.graph.input.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]))
    for node in model.graph.node:
        if node.op_type == "Attention":
            node.input[:] = [*node.input[:3], "", "", "", "lengths"]
    parsed = parse(graph, model)
    assert (parsed.accepted, parsed.errors) == (True, [])
    assert unused_inputs(parsed) == {"lengths"}


def test_the_capacity_must_be_a_number_before_the_parser_sees_it(tmp_path: Path) -> None:
    parsed = parse(build(tmp_path, PRESETS["tensorrt-bf16"]), capacity=None)
    assert not parsed.accepted
    assert "must have a static sequence length" in parsed.errors[0]


@every_model
def test_attention_in_16_bits_has_a_kernel_of_its_own(tmp_path: Path, model_type: str) -> None:
    """TensorRT says of 32 bits that there is none, and builds nothing; so the plans in 16 bits have one."""
    parsed = parse(build(tmp_path, replace(PRESETS["tensorrt-bf16"], activations="float32"), model_type))
    assert parsed.accepted
    assert parsed.plan_bytes() is None
    assert any("Attention operation was not supported by a dedicated kernel" in line for line in parsed.heard)


@pytest.mark.parametrize(
    ("name", "bytes_an_element"),
    [
        ("tensorrt-bf16", 2),
        ("tensorrt-fp16", 2),
        ("tensorrt-int8", 1),
        # And 2 bytes for each block of 64.
        ("tensorrt-int4", 0.5 + 2 / 64),
    ],
)
def test_quantised_weights_stay_so_in_the_plan(tmp_path: Path, name: str, bytes_an_element: float) -> None:
    """By how much a plan grows with its matrices: it holds the kernels as well."""
    narrow, wide = INNER, 8192
    small, large = (
        parse(build(tmp_path / str(inner), PRESETS[name], inner=inner)).plan_bytes() or 0 for inner in (narrow, wide)
    )
    elements = LAYERS * 3 * HIDDEN * (wide - narrow)
    assert (large - small) / elements == pytest.approx(bytes_an_element, rel=0.03)


@every_preset
@every_model
def test_the_gate_lets_it_through_and_all_operators_are_standard(
    tmp_path: Path, preset: Preset, model_type: str
) -> None:
    graph = build(tmp_path, preset, model_type, inner=INNER)
    check_graph(graph, manifest(graph, preset, model_type))
    onnx.checker.check_model(graph / GRAPH, full_check=True)
    assert {node.domain for node in load(graph).graph.node} == {""}


@every_preset
def test_of_tied_embeddings_one_table_serves_twice(tmp_path: Path, preset: Preset) -> None:
    tied = load(build(tmp_path / "tied", preset, tie=True, inner=INNER)).graph
    apart = load(build(tmp_path / "apart", preset, tie=False, inner=INNER)).graph
    table = "model.embed_tokens.weight"
    assert [node.op_type for node in tied.node if table in node.input] == ["Gather", "Gemm"]
    assert [node.op_type for node in apart.node if table in node.input] == ["Gather"]


def test_a_matrix_that_is_no_whole_number_of_blocks_wide_is_refused(tmp_path: Path) -> None:
    with refused(UnsupportedError, 160, "model.layers.0.mlp.down.weight", 64):
        build(tmp_path, PRESETS["tensorrt-int4"])
