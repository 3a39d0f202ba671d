"""GGUF files: what is read equals what was written, and whatever is damaged or unknown is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from appliance.errors import ApplianceError, IntegrityError, UnsupportedError
from export.architecture import describe
from export.architecture.rotary import Divided, Llama3, Rotary
from export.checkpoint import gguf_checkpoint, open_checkpoint
from export.checkpoint.gguf_header import Header
from export.checkpoint.gguf_rows import published_order
from export.reading import architecture_of
from tests.checkpoints import CONTEXT_TOKENS, KV_HEADS, make_tiny_checkpoint, tiny_config
from tests.gguf_files import in_pairs, make_tiny_gguf
from tests.refusals import refused


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "llama", "granite"])
@pytest.mark.parametrize("tie", [False, True])
def test_names_shapes_and_values_are_those_of_the_published_weights(tmp_path: Path, model_type: str, tie: bool) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", model_type, tie=tie)
    published = load_file(tmp_path / "a-published" / "model.safetensors")
    checkpoint = open_checkpoint({"a.gguf": path})
    assert checkpoint.names() == sorted(published)
    for name, expected in published.items():
        tensor = checkpoint.read(name)
        assert checkpoint.shape(name) == expected.shape
        assert tensor.dtype == np.float32
        assert tensor.flags.c_contiguous
        np.testing.assert_array_equal(tensor, expected)


@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "llama", "granite"])
@pytest.mark.parametrize("tie", [False, True])
def test_the_configuration_describes_the_same_architecture_as_the_published_one(
    tmp_path: Path, model_type: str, tie: bool
) -> None:
    checkpoint = open_checkpoint({"a.gguf": make_tiny_gguf(tmp_path / "a.gguf", model_type, tie=tie)})
    assert describe(checkpoint.config) == describe(tiny_config(model_type, tie=tie))


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_0", "F16", "BF16"])
def test_quantised_tensors_are_read_as_the_format_says(tmp_path: Path, kind: str) -> None:
    checkpoint = open_checkpoint({"a.gguf": make_tiny_gguf(tmp_path / "a.gguf", kind=kind)})
    name = "model.layers.1.mlp.down_proj.weight"
    published = load_file(tmp_path / "a-published" / "model.safetensors")[name]
    blocks = quantize(published, GGMLQuantizationType[kind])
    assert checkpoint.source_type(name) == kind
    np.testing.assert_array_equal(checkpoint.read(name), dequantize(blocks, GGMLQuantizationType[kind]))
    if kind.startswith("Q"):
        np.testing.assert_array_equal(checkpoint.raw(name), blocks)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_1"])
def test_rows_of_llamas_query_and_key_are_read_in_the_published_order(tmp_path: Path, kind: str) -> None:
    """Blocks lie within rows, so the order of rows and the format of blocks do not depend on each other."""
    checkpoint = open_checkpoint({"a.gguf": make_tiny_gguf(tmp_path / "a.gguf", "llama", kind=kind)})
    published = load_file(tmp_path / "a-published" / "model.safetensors")
    for name, tensor in published.items():
        if tensor.ndim == 1:
            continue
        blocks = quantize(tensor, GGMLQuantizationType[kind])
        np.testing.assert_array_equal(checkpoint.read(name), dequantize(blocks, GGMLQuantizationType[kind]), name)
        if kind.startswith("Q"):
            np.testing.assert_array_equal(checkpoint.raw(name), blocks, name)
            assert not checkpoint.raw(name).flags.writeable


def test_rows_in_any_other_order_are_other_weights(tmp_path: Path) -> None:
    """The order is undone once: what was not in pairs, or was put in pairs twice, does not come back."""
    name = "model.layers.0.self_attn.k_proj.weight"
    published = load_file(make_tiny_checkpoint(tmp_path, "llama") / "model.safetensors")[name]
    once = in_pairs(name, published)
    orders = {"as published": published, "in pairs": once, "twice": in_pairs(name, once)}
    rows = {how: published_order(tensor.view(np.uint8), KV_HEADS).view(np.float32) for how, tensor in orders.items()}
    assert {how: bool((found == published).all()) for how, found in rows.items()} == {
        "as published": False,
        "in pairs": True,
        "twice": False,
    }


@pytest.mark.parametrize("settings", [{"attention.head_count": 3}, {"attention.head_count_kv": 0}])
def test_rows_that_are_no_whole_heads_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", "llama", settings=settings)
    with refused(UnsupportedError, "rows"):
        open_checkpoint({"a.gguf": path})


def test_an_element_type_that_cannot_be_read_is_refused_before_a_tensor_is_read(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads the formats of today; it lists those of tomorrow before it reads them."""

    def not_yet(_rows: object, kind: GGMLQuantizationType) -> None:
        raise NotImplementedError(kind)

    path = make_tiny_gguf(tiny.parent / "q8.gguf", kind="Q8_0")
    monkeypatch.setattr(gguf_checkpoint, "dequantize", not_yet)
    with refused(UnsupportedError, "Q8_0"):
        open_checkpoint({"a.gguf": path})
    open_checkpoint({"a.gguf": tiny})


def test_raw_blocks_of_plain_floats_are_refused(tiny: Path) -> None:
    with refused(UnsupportedError, "blocks"):
        open_checkpoint({"a.gguf": tiny}).raw("model.norm.weight")


def test_a_tensor_that_is_not_there_is_named(tiny: Path) -> None:
    with refused(UnsupportedError, "model.layers.9"):
        open_checkpoint({"a.gguf": tiny}).read("model.layers.9.mlp.up_proj.weight")


def test_an_unknown_architecture_is_refused_by_name(tmp_path: Path) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", architecture="mamba")
    with refused(UnsupportedError, "mamba") as caught:
        open_checkpoint({"a.gguf": path})
    assert "granite, llama, qwen2, qwen3" in caught.value.hint


def test_an_unknown_setting_is_refused_not_guessed(tmp_path: Path) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", settings={"attention.sliding_window": 128})
    with pytest.raises(UnsupportedError, match=r"attention\.sliding_window"):
        open_checkpoint({"a.gguf": path})


YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 128}


@pytest.mark.parametrize(
    ("settings", "published"),
    [
        (YARN, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}),
        (
            YARN | {"rope.scaling.yarn_beta_fast": 16.0, "rope.scaling.yarn_beta_slow": 0.1},
            {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 128,
                "beta_fast": 16.0,
                "beta_slow": 0.1,
            },
        ),
        (
            YARN
            | {
                "rope.scaling.finetuned": True,
                "rope.scaling.attn_factor": 1.0,
                "rope.scaling.yarn_ext_factor": 1.0,
                "rope.scaling.yarn_log_multiplier": 0.0,
            },
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
        ),
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}, {"rope_type": "linear", "factor": 2.0}),
        ({"rope.scaling.factor": 2.0}, {"rope_type": "linear", "factor": 2.0}),
        ({"rope.scaling.type": "none", "rope.scaling.factor": 2.0}, None),
    ],
)
def test_a_scaled_rotation_is_the_published_one(
    tmp_path: Path, settings: dict[str, Any], published: dict[str, Any] | None
) -> None:
    checkpoint = open_checkpoint({"a.gguf": make_tiny_gguf(tmp_path / "a.gguf", settings=settings)})
    assert describe(checkpoint.config) == describe({**tiny_config(), "rope_scaling": published})


@pytest.mark.parametrize(
    "settings",
    [
        {"rope.scaling.type": "longrope"},
        YARN | {"rope.scaling.yarn_attn_factor": 1.0},
        YARN | {"rope.scaling.yarn_ext_factor": 0.5},
        YARN | {"rope.scaling.yarn_log_multiplier": 0.1},
        YARN | {"rope.scaling.novelty": 1},
    ],
)
def test_a_scaling_without_a_known_meaning_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", settings=settings)
    with pytest.raises(UnsupportedError, match="supported"):
        describe(open_checkpoint({"a.gguf": path}).config)


LLAMA3 = Llama3(factor=8.0, original_tokens=64, low=1.0, high=4.0)


def divisors() -> list[float]:
    """As llama.cpp's converter writes them for Llama 3.1: by how much the scaling divides each frequency."""
    plain = Rotary(10000.0)
    ratios: list[float] = (plain.frequencies(16) / LLAMA3.scaled(plain.frequencies(16), plain.theta)).tolist()
    return ratios


def test_the_scaling_of_llama_3_is_read_from_its_tensor(tmp_path: Path) -> None:
    checkpoint = open_checkpoint({"a.gguf": make_tiny_gguf(tmp_path / "a.gguf", "llama", divisors=divisors())})
    architecture = architecture_of(checkpoint)
    rotary = architecture.layers[0].attention.rotary
    expected = Rotary(10000.0, LLAMA3)
    np.testing.assert_allclose(rotary.frequencies(16), expected.frequencies(16), rtol=1e-7)
    assert np.abs(rotary.frequencies(16) / Rotary(10000.0).frequencies(16)).min() < 0.2
    assert architecture.context_tokens == CONTEXT_TOKENS
    others = {Rotary(10000.0, Divided((value, 1.0))).name for value in (1.0, 2.0)}
    assert len({*others, rotary.name, Rotary(10000.0).name}) == 4


@pytest.mark.parametrize("values", [[1.0] * 7, [1.0] * 9, [*[1.0] * 7, float("nan")], [*[1.0] * 7, 0.0], [1.0] * 2000])
def test_divisors_of_the_rotation_that_make_no_sense_are_refused(tmp_path: Path, values: list[float]) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", "llama", divisors=values)
    with pytest.raises(UnsupportedError, match=r"divisor|rope_freqs"):
        architecture_of(open_checkpoint({"a.gguf": path}))


def test_a_rotation_that_is_scaled_in_two_ways_is_refused(tmp_path: Path) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", "llama", divisors=divisors(), settings=YARN)
    with refused(UnsupportedError, "rope_freqs.weight"):
        open_checkpoint({"a.gguf": path})


def test_a_granite_without_rotary_positions_or_without_its_scale_is_refused(tmp_path: Path) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", "granite", settings={"rope.scaling.finetuned": False})
    with refused(UnsupportedError, "rotary"):
        open_checkpoint({"a.gguf": path})
    path = make_tiny_gguf(tmp_path / "b.gguf", "llama", architecture="granite")
    with refused(UnsupportedError, "attention.scale"):
        open_checkpoint({"b.gguf": path})


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = make_tiny_gguf(tmp_path / "a.gguf", settings={"rope.dimension_count": 8})
    with refused(UnsupportedError, "head_dim", 16, 8):
        open_checkpoint({"a.gguf": path})


def test_one_part_of_a_split_model_is_refused(tmp_path: Path) -> None:
    with refused(UnsupportedError, "several"):
        open_checkpoint({"a-1.gguf": tmp_path / "x", "a-2.gguf": tmp_path / "y"})


@pytest.mark.parametrize("kept", [0, 3, 11, 200, 0.5, 0.999])
def test_a_file_that_is_cut_short_is_refused(tiny: Path, tmp_path: Path, kept: float) -> None:
    content = tiny.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(content[: int(kept if kept >= 1 or kept == 0 else len(content) * kept)])
    with pytest.raises(IntegrityError):
        open_checkpoint({"cut.gguf": cut})


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with refused(IntegrityError, "GGUF"):
        open_checkpoint({"a.gguf": path})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 4000), value=st.binary(min_size=1, max_size=8))
def test_no_damage_to_the_header_does_more_than_raise(tiny: Path, position: int, value: bytes) -> None:
    content = bytearray(tiny.read_bytes())
    content[position : position + len(value)] = value
    try:
        header = Header.from_bytes(bytes(content))
    except ApplianceError:
        return
    assert all(entry.offset + entry.size_bytes <= len(content) for entry in header.tensors.values())
