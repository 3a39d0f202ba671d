"""Checkpoints in Hugging Face's layout: read whole or in shards; damage, gaps and other formats are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file, save_file

from appliance.errors import IntegrityError, UnsafeFormatError, UnsupportedError
from export.checkpoint import open_checkpoint
from export.reading import architecture_of
from tests.checkpoints import make_tiny_checkpoint, tiny_config
from tests.installed import files_in
from tests.refusals import refused


@pytest.mark.parametrize(("dtype", "kind"), [("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16")])
def test_every_float_is_widened_exactly(tmp_path: Path, dtype: str, kind: str) -> None:
    make_tiny_checkpoint(tmp_path / "wide")
    make_tiny_checkpoint(tmp_path / "narrow", dtype=dtype)
    name = "model.layers.0.self_attn.q_proj.weight"
    narrow = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[dtype]
    expected = load_file(tmp_path / "wide" / "model.safetensors")[name].astype(narrow).astype(np.float32)
    checkpoint = open_checkpoint(files_in(tmp_path / "narrow"))
    assert checkpoint.source_type(name) == kind
    assert checkpoint.read(name).dtype == np.float32
    np.testing.assert_array_equal(checkpoint.read(name), expected)


def test_shards_read_as_one(tmp_path: Path) -> None:
    whole = open_checkpoint(files_in(make_tiny_checkpoint(tmp_path / "whole")))
    sharded = open_checkpoint(files_in(make_tiny_checkpoint(tmp_path / "sharded", shards=3)))
    assert sharded.names() == whole.names()
    for name in whole.names():
        np.testing.assert_array_equal(sharded.read(name), whole.read(name))


def test_a_missing_shard_is_noticed(tmp_path: Path) -> None:
    files = files_in(make_tiny_checkpoint(tmp_path, shards=2))
    del files["model-00002-of-00002.safetensors"]
    with refused(IntegrityError, "model-00002-of-00002.safetensors"):
        open_checkpoint(files)


def test_a_tensor_that_the_index_does_not_list_is_refused(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path, shards=2)
    index = tmp_path / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    del content["weight_map"]["model.norm.weight"]
    index.write_text(json.dumps(content))
    with refused(IntegrityError, "model.norm.weight"):
        open_checkpoint(files_in(tmp_path))


def test_two_files_with_the_same_tensor_are_refused(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path)
    save_file({"model.norm.weight": np.zeros(4, np.float32)}, tmp_path / "extra.safetensors")
    with refused(IntegrityError, "both"):
        open_checkpoint(files_in(tmp_path))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with refused(IntegrityError, "model.safetensors"):
        open_checkpoint(files_in(tmp_path))


@pytest.mark.parametrize(("dtype", "named"), [(np.int8, "I8"), (np.float64, "F64"), (ml_dtypes.float8_e4m3fn, "F8")])
def test_elements_of_an_unknown_type_are_refused_before_a_tensor_is_read(
    tmp_path: Path, dtype: npt.DTypeLike, named: str
) -> None:
    save_file({"model.norm.weight": np.zeros(4, dtype)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(tiny_config()))
    with refused(UnsupportedError, "model.norm.weight", named):
        open_checkpoint(files_in(tmp_path))


def test_weights_without_configuration_are_refused(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path)
    files = files_in(tmp_path)
    del files["config.json"]
    with refused(UnsupportedError, "config.json"):
        open_checkpoint(files)


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_configuration_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    make_tiny_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(IntegrityError, match=r"config\.json"):
        open_checkpoint(files_in(tmp_path))


@pytest.mark.parametrize(
    ("config", "method"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization_config": {"quant_method": "awq"}}, "awq"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"compression_config": {"format": "pack-quantized"}}, "compression_config"),
        ({"quantization": {"group_size": 64, "bits": 4}}, "bits 4"),
        ({"quantization_config": ["surprise"]}, "quantization_config"),
    ],
)
def test_an_already_quantised_form_is_refused_by_its_name(tmp_path: Path, config: dict[str, Any], method: str) -> None:
    make_tiny_checkpoint(tmp_path, **config)
    with refused(UnsupportedError, "quantised", method) as caught:
        open_checkpoint(files_in(tmp_path))
    assert "GGUF" in caught.value.hint


@pytest.mark.parametrize("key", ["quantization_config", "compression_config", "quantization"])
@pytest.mark.parametrize("value", [None, {}])
def test_a_quantisation_that_is_none_is_accepted(tmp_path: Path, key: str, value: Any) -> None:
    architecture_of(open_checkpoint(files_in(make_tiny_checkpoint(tmp_path, **{key: value}))))


@pytest.mark.parametrize(
    ("tensor", "named"),
    [
        ("model.layers.0.self_attn.q_proj.qweight", "quantised"),
        ("model.layers.0.mlp.up_proj.weight_scale_inv", "quantised"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "adapter"),
        ("model.layers.0.self_attn.o_proj.bias", "o_proj.bias"),
        ("v_head.summary.weight", "v_head"),
    ],
)
def test_a_tensor_that_the_architecture_does_not_have_is_named(tmp_path: Path, tensor: str, named: str) -> None:
    make_tiny_checkpoint(tmp_path)
    save_file({tensor: np.zeros((4, 4), np.float32)}, tmp_path / "more.safetensors")
    with refused(UnsupportedError, named) as caught:
        architecture_of(open_checkpoint(files_in(tmp_path)))
    assert caught.value.hint


@pytest.mark.parametrize("model_type", ["llama", "mistral", "granite", "granitemoehybrid", "gemma3_text"])
def test_a_head_size_that_the_tensors_do_not_have_is_refused_by_a_tensors_name(tmp_path: Path, model_type: str) -> None:
    make_tiny_checkpoint(tmp_path, model_type, head_dim=64)
    with refused(UnsupportedError, "self_attn.q_proj.weight", 256):
        architecture_of(open_checkpoint(files_in(tmp_path)))


@pytest.mark.parametrize(
    ("model_type", "name"),
    [
        ("llama", "self_attn.k_proj.weight"),
        ("granitemoehybrid", "shared_mlp.input_linear.weight"),
        ("gemma3_text", "pre_feedforward_layernorm.weight"),
    ],
)
def test_a_missing_tensor_is_named(tmp_path: Path, model_type: str, name: str) -> None:
    make_tiny_checkpoint(tmp_path, model_type)
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    del tensors[f"model.layers.1.{name}"]
    save_file(tensors, weights)
    with refused(UnsupportedError, f"model.layers.1.{name}"):
        architecture_of(open_checkpoint(files_in(tmp_path)))


def test_frequencies_of_the_rotation_in_the_file_are_not_read(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path)
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    save_file({name: np.zeros(8, np.float32)}, tmp_path / "more.safetensors")
    architecture_of(open_checkpoint(files_in(tmp_path)))


def test_a_head_beside_a_tied_embedding_is_read_if_the_configuration_is_corrected_as_the_hint_states(
    tmp_path: Path,
) -> None:
    make_tiny_checkpoint(tmp_path, tie_word_embeddings=True)
    with refused(UnsupportedError, "lm_head.weight") as caught:
        architecture_of(open_checkpoint(files_in(tmp_path)))
    assert "tie_word_embeddings to false" in caught.value.hint
    make_tiny_checkpoint(tmp_path, tie_word_embeddings=False)
    architecture_of(open_checkpoint(files_in(tmp_path)))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "Model.CKPT"])
def test_pickles_are_never_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeFormatError, match="pickle"):
        open_checkpoint({name: tmp_path / "absent"})


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    with refused(UnsupportedError, "weights"):
        open_checkpoint({"config.json": tmp_path / "absent"})
