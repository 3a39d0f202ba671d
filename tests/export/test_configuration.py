"""Keys of config.json: notes of tools are ignored, what could change the model is read or refused by its name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from appliance.errors import UnsupportedError
from export.architecture import Architecture, describe
from export.architecture.harmless import IGNORED, NEUTRAL
from export.architecture.rotary import Rotary, Yarn
from tests.checkpoints import CONTEXT_TOKENS, HEADS, HIDDEN, INNER, MULTIPLIERS, WINDOW, tiny_config
from tests.refusals import refused

YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}


def described(model_type: str = "qwen2", **keys: Any) -> Architecture:
    return describe({**tiny_config(model_type), **keys})


def rotary(**keys: Any) -> Rotary:
    return described(**keys).layers[0].attention.rotary


@pytest.mark.parametrize("key", sorted({*IGNORED, "unsloth_fixed", "unsloth_version"} - {"model_type"}))
@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "llama", "mistral", "granite", "gemma3_text"])
def test_a_note_of_a_tool_changes_nothing(model_type: str, key: str) -> None:
    for value in (None, True, 3, "a text", {"0": "LABEL_0"}):
        assert described(model_type, **{key: value}) == described(model_type)


@pytest.mark.parametrize("key", NEUTRAL)
def test_a_key_that_could_change_the_model_is_accepted_with_the_values_without_effect_only(key: str) -> None:
    for value in (None, *NEUTRAL[key]):
        assert described(**{key: value}) == described()
    with refused(UnsupportedError, key) as caught:
        described(**{key: "something else"})
    assert caught.value.hint


def test_an_unknown_key_is_refused_by_its_name_unless_it_has_no_value() -> None:
    with refused(UnsupportedError, "novelty") as caught:
        described(novelty=0, id2label={})
    assert "delete" in caught.value.hint
    assert described(novelty=None) == described()


def test_a_configuration_as_transformers_wrote_it_whole_is_accepted() -> None:
    """`to_json_file(use_diff=False)` of transformers 4 writes the defaults of every key."""
    whole = {
        "_attn_implementation_autoset": True,
        "add_cross_attention": False,
        "bad_words_ids": None,
        "chunk_size_feed_forward": 0,
        "early_stopping": False,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
        "is_decoder": False,
        "is_encoder_decoder": False,
        "label2id": {"LABEL_0": 0, "LABEL_1": 1},
        "max_length": 20,
        "max_window_layers": 28,
        "num_beams": 1,
        "output_attentions": False,
        "output_hidden_states": False,
        "pruned_heads": {},
        "quantization_config": None,
        "return_dict": True,
        "rope_scaling": None,
        "sliding_window": 4096,
        "tie_encoder_decoder": False,
        "top_k": 50,
        "torchscript": False,
        "use_bfloat16": False,
        "use_sliding_window": False,
    }
    assert described(**whole) == described()


PUBLISHED = {
    "Qwen3-0.6B, as unsloth saves it": (
        {
            "_attn_implementation_autoset": True,
            "architectures": ["Qwen3ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 151643,
            "eos_token_id": 151645,
            "head_dim": 128,
            "hidden_act": "silu",
            "hidden_size": 1024,
            "initializer_range": 0.02,
            "intermediate_size": 3072,
            "max_position_embeddings": 40960,
            "max_window_layers": 28,
            "model_type": "qwen3",
            "num_attention_heads": 16,
            "num_hidden_layers": 28,
            "num_key_value_heads": 8,
            "pad_token_id": 151654,
            "rms_norm_eps": 1e-06,
            "rope_scaling": None,
            "rope_theta": 1000000,
            "sliding_window": None,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.51.3",
            "unsloth_fixed": True,
            "unsloth_version": "2025.5.1",
            "use_cache": True,
            "use_sliding_window": False,
            "vocab_size": 151936,
        },
        40960,
    ),
    "Qwen3-0.6B, as transformers 5 saves it with YaRN": (
        {
            "architectures": ["Qwen3ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 151643,
            "dtype": "bfloat16",
            "eos_token_id": 151645,
            "head_dim": 128,
            "hidden_act": "silu",
            "hidden_size": 1024,
            "initializer_range": 0.02,
            "intermediate_size": 3072,
            "layer_types": ["full_attention"] * 28,
            "max_position_embeddings": 40960,
            "max_window_layers": 28,
            "model_type": "qwen3",
            "num_attention_heads": 16,
            "num_hidden_layers": 28,
            "num_key_value_heads": 8,
            "pad_token_id": None,
            "rms_norm_eps": 1e-06,
            "rope_parameters": {
                "factor": 4.0,
                "original_max_position_embeddings": 32768,
                "rope_theta": 1000000,
                "rope_type": "yarn",
            },
            "sliding_window": None,
            "tie_word_embeddings": True,
            "transformers_version": "5.0.0",
            "use_cache": True,
            "use_sliding_window": False,
            "vocab_size": 151936,
        },
        131072,
    ),
    "DeepSeek-R1-Distill-Qwen-1.5B": (
        {
            "architectures": ["Qwen2ForCausalLM"],
            "attention_dropout": 0.0,
            "bos_token_id": 151643,
            "eos_token_id": 151643,
            "hidden_act": "silu",
            "hidden_size": 1536,
            "initializer_range": 0.02,
            "intermediate_size": 8960,
            "max_position_embeddings": 131072,
            "max_window_layers": 21,
            "model_type": "qwen2",
            "num_attention_heads": 12,
            "num_hidden_layers": 28,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-06,
            "rope_theta": 10000,
            "sliding_window": 4096,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.44.0",
            "use_cache": True,
            "use_mrope": False,
            "use_sliding_window": False,
            "vocab_size": 151936,
        },
        131072,
    ),
    "SmolLM2-135M-Instruct": (
        {
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "hidden_act": "silu",
            "hidden_size": 576,
            "initializer_range": 0.041666666666666664,
            "intermediate_size": 1536,
            "is_llama_config": True,
            "max_position_embeddings": 8192,
            "mlp_bias": False,
            "model_type": "llama",
            "num_attention_heads": 9,
            "num_hidden_layers": 30,
            "num_key_value_heads": 3,
            "pad_token_id": 2,
            "pretraining_tp": 1,
            "rms_norm_eps": 1e-05,
            "rope_interleaved": False,
            "rope_scaling": None,
            "rope_theta": 100000,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "transformers.js_config": {"kv_cache_dtype": {"fp16": "float16", "q4f16": "float16"}},
            "transformers_version": "4.42.3",
            "use_cache": True,
            "vocab_size": 49152,
        },
        8192,
    ),
    "Llama-3.2-1B-Instruct": (
        {
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 128000,
            "eos_token_id": [128001, 128008, 128009],
            "head_dim": 64,
            "hidden_act": "silu",
            "hidden_size": 2048,
            "initializer_range": 0.02,
            "intermediate_size": 8192,
            "max_position_embeddings": 131072,
            "mlp_bias": False,
            "model_type": "llama",
            "num_attention_heads": 32,
            "num_hidden_layers": 16,
            "num_key_value_heads": 8,
            "pretraining_tp": 1,
            "rms_norm_eps": 1e-05,
            "rope_scaling": {
                "factor": 32.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192,
                "rope_type": "llama3",
            },
            "rope_theta": 500000.0,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.45.0.dev0",
            "use_cache": True,
            "vocab_size": 128256,
        },
        131072,
    ),
    "Llama-2-7b-hf, whose file has no base of the rotation": (
        {
            "architectures": ["LlamaForCausalLM"],
            "bos_token_id": 1,
            "eos_token_id": 2,
            "hidden_act": "silu",
            "hidden_size": 4096,
            "initializer_range": 0.02,
            "intermediate_size": 11008,
            "max_position_embeddings": 4096,
            "model_type": "llama",
            "num_attention_heads": 32,
            "num_hidden_layers": 32,
            "num_key_value_heads": 32,
            "pretraining_tp": 1,
            "rms_norm_eps": 1e-05,
            "rope_scaling": None,
            "tie_word_embeddings": False,
            "torch_dtype": "float16",
            "transformers_version": "4.31.0.dev0",
            "use_cache": True,
            "vocab_size": 32000,
        },
        4096,
    ),
    "gemma-3-1b-it": (
        {
            "architectures": ["Gemma3ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "attn_logit_softcapping": None,
            "bos_token_id": 2,
            "cache_implementation": "hybrid",
            "eos_token_id": [1, 106],
            "final_logit_softcapping": None,
            "head_dim": 256,
            "hidden_activation": "gelu_pytorch_tanh",
            "hidden_size": 1152,
            "initializer_range": 0.02,
            "intermediate_size": 6912,
            "max_position_embeddings": 32768,
            "model_type": "gemma3_text",
            "num_attention_heads": 4,
            "num_hidden_layers": 26,
            "num_key_value_heads": 1,
            "pad_token_id": 0,
            "query_pre_attn_scalar": 256,
            "rms_norm_eps": 1e-06,
            "rope_local_base_freq": 10000,
            "rope_scaling": None,
            "rope_theta": 1000000,
            "sliding_window": 512,
            "sliding_window_pattern": 6,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.50.0.dev0",
            "use_cache": True,
            "vocab_size": 262144,
        },
        32768,
    ),
    "Mistral-7B-v0.1": (
        {
            "architectures": ["MistralForCausalLM"],
            "bos_token_id": 1,
            "eos_token_id": 2,
            "hidden_act": "silu",
            "hidden_size": 4096,
            "initializer_range": 0.02,
            "intermediate_size": 14336,
            "max_position_embeddings": 32768,
            "model_type": "mistral",
            "num_attention_heads": 32,
            "num_hidden_layers": 32,
            "num_key_value_heads": 8,
            "rms_norm_eps": 1e-05,
            "rope_theta": 10000.0,
            "sliding_window": 4096,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.34.0.dev0",
            "use_cache": True,
            "vocab_size": 32000,
        },
        4096,
    ),
}


@pytest.mark.parametrize(("config", "context"), PUBLISHED.values(), ids=PUBLISHED)
def test_configurations_of_the_forms_that_are_published_are_read(config: dict[str, Any], context: int) -> None:
    assert describe(config).context_tokens == context


@pytest.mark.parametrize(
    ("keys", "context", "is_noted"),
    [
        # The publisher's instructions for Qwen2.5: only rope_scaling is added.
        ({"max_position_embeddings": 128, "rope_scaling": YARN}, 512, True),
        # Qwen3's 40,960 are the 32,768 of training and room for an answer.
        ({"max_position_embeddings": 160, "rope_scaling": YARN}, 512, True),
        ({"max_position_embeddings": 512, "rope_scaling": YARN}, 512, False),
        ({"max_position_embeddings": 512, "rope_scaling": YARN | {"factor": None}}, 512, False),
        ({"max_position_embeddings": 128, "rope_scaling": {"type": "yarn", "factor": 2.5}}, 320, True),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, CONTEXT_TOKENS, False),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, CONTEXT_TOKENS, True),
        ({"rope_scaling": {"type": "default"}}, CONTEXT_TOKENS, False),
        ({"rope_scaling": {}}, CONTEXT_TOKENS, False),
    ],
)
def test_the_context_is_the_one_that_the_rotation_is_made_for(
    keys: dict[str, Any], context: int, is_noted: bool
) -> None:
    architecture = described(**keys)
    assert architecture.context_tokens == context
    assert bool(architecture.notes) == is_noted
    assert all(str(context) in note for note in architecture.notes)


def test_a_rotation_is_read_from_the_keys_of_transformers_4_and_5_alike() -> None:
    new = {"rope_type": "yarn", **{key: value for key, value in YARN.items() if key != "type"}}
    expected = rotary(rope_scaling=YARN)
    assert isinstance(expected.scaling, Yarn)
    assert rotary(rope_scaling=new) == expected
    assert rotary(rope_parameters=new | {"rope_theta": 10000.0}) == expected
    assert rotary(rope_parameters=new | {"rope_theta": 10000.0}, rope_theta=None) == expected
    assert rotary(rope_parameters=new, rope_scaling=new) == expected
    assert rotary(rope_scaling=YARN | {"finetuned": True, "attention_factor": None}) == expected


@pytest.mark.parametrize(
    ("keys", "magnitude"),
    [
        ({}, 0.1 * math.log(4) + 1),
        ({"attention_factor": 1.25}, 1.25),
        ({"mscale": 0.5}, 0.1 * math.log(4) + 1),
        ({"mscale": 0.5, "mscale_all_dim": 2}, (0.05 * math.log(4) + 1) / (0.2 * math.log(4) + 1)),
        ({"mscale": 0.5, "mscale_all_dim": 2, "attention_factor": 1.25}, 1.25),
    ],
)
def test_yarn_scales_cosine_and_sine(keys: dict[str, float], magnitude: float) -> None:
    rotated = rotary(rope_scaling=YARN | keys)
    assert rotated.scaling.magnitude == pytest.approx(magnitude)
    cosines, sines = rotated.tables(16, 300)
    np.testing.assert_allclose(np.hypot(cosines, sines), magnitude, rtol=1e-6)


def test_different_rotations_have_different_names() -> None:
    scalings = [None, YARN, YARN | {"factor": 5.0}, YARN | {"truncate": False}, {"type": "linear", "factor": 4.0}]
    assert len({rotary(rope_scaling=scaling).name for scaling in scalings}) == len(scalings)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1]}}, "longrope"),
        ({"rope_scaling": {"type": "mrope", "mrope_section": [8, 4, 4]}}, "mrope"),
        ({"rope_scaling": YARN | {"rope_type": "linear"}}, "rope_type"),
        ({"rope_scaling": YARN | {"novelty": 1}}, "rope_scaling.novelty"),
        ({"rope_scaling": YARN | {"factor": 0.5}}, "rope_scaling.factor"),
        ({"rope_scaling": YARN | {"factor": "4"}}, "rope_scaling.factor"),
        ({"rope_scaling": YARN | {"factor": float("nan")}}, "rope_scaling.factor"),
        ({"rope_scaling": YARN | {"factor": 9999, "original_max_position_embeddings": 1 << 20}}, "limit"),
        ({"rope_scaling": YARN | {"beta_fast": 1, "beta_slow": 2}}, "beta_fast"),
        ({"rope_scaling": YARN | {"truncate": 1}}, "truncate"),
        ({"rope_scaling": YARN | {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"rope_scaling": {"type": "linear"}}, "factor"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2, "alpha": 1000}}, "alpha"),
        ({"rope_scaling": {"type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 4}}, "high_freq"),
        ({"rope_scaling": {"factor": 2}}, "factor"),
        ({"rope_scaling": "yarn"}, "rope_scaling"),
        ({"rope_scaling": YARN, "rope_parameters": {"rope_type": "default"}}, "rope_parameters"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, "rope_theta"),
        ({"rope_theta": None}, "rope_theta"),
        ({"rope_theta": 1.0}, "rope_theta"),
    ],
)
def test_a_rotation_without_a_known_meaning_is_refused_by_the_key(keys: dict[str, Any], named: str) -> None:
    with refused(UnsupportedError, named):
        described(**keys)


SLIDING = {"use_sliding_window": True, "sliding_window": 100}
FULL, SLIDES = "full_attention", "sliding_attention"


@pytest.mark.parametrize(
    ("keys", "context"),
    [
        ({"use_sliding_window": False, "sliding_window": 100, "max_window_layers": 0}, CONTEXT_TOKENS),
        ({"sliding_window": 100}, CONTEXT_TOKENS),
        (SLIDING | {"max_window_layers": 1}, 100),
        (SLIDING | {"max_window_layers": 0}, 100),
        (SLIDING | {"max_window_layers": 2}, CONTEXT_TOKENS),
        # transformers' default: the first 28 layers have no window.
        (SLIDING, CONTEXT_TOKENS),
        (SLIDING | {"layer_types": [FULL, SLIDES]}, 100),
        (SLIDING | {"layer_types": [FULL, FULL], "max_window_layers": 0}, CONTEXT_TOKENS),
        (SLIDING | {"sliding_window": 4096, "max_window_layers": 0}, CONTEXT_TOKENS),
        (SLIDING | {"sliding_window": None, "max_window_layers": 0}, CONTEXT_TOKENS),
        ({"use_sliding_window": True, "max_window_layers": 0, "max_position_embeddings": 8192}, 4096),
        (SLIDING | {"max_window_layers": 0, "rope_scaling": YARN}, 100),
    ],
)
def test_a_sliding_window_bounds_the_context(keys: dict[str, Any], context: int) -> None:
    architecture = described(**keys)
    assert architecture.context_tokens == context
    assert bool(architecture.notes) == (context in {100, 4096})


@pytest.mark.parametrize(
    "keys",
    [
        SLIDING | {"layer_types": [FULL]},
        SLIDING | {"layer_types": [FULL, "linear_attention"]},
        SLIDING | {"sliding_window": 0, "max_window_layers": 0},
        SLIDING | {"max_window_layers": -1},
        {"layer_types": [FULL, SLIDES]},
        {"use_sliding_window": "yes"},
    ],
)
def test_a_window_without_a_known_meaning_is_refused(keys: dict[str, Any]) -> None:
    with refused(UnsupportedError, "configuration"):
        described(**keys)


@pytest.mark.parametrize("model_type", ["llama", "mistral"])
def test_keys_that_old_files_lack_have_the_values_of_transformers(model_type: str) -> None:
    assert described(model_type, rope_theta=None) == described(model_type, rope_theta=10000.0)
    assert described(model_type, head_dim=None) == described(model_type, head_dim=HIDDEN // HEADS)


def test_a_llama_without_a_number_of_key_heads_has_one_for_each_query_head() -> None:
    assert described("llama", num_key_value_heads=None).layers[0].attention.kv_heads == HEADS


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"pretraining_tp": 2}, "pretraining_tp"),
        ({"rope_interleaved": True}, "rope_interleaved"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"head_dim": 15}, "head_dim"),
        ({"head_dim": 0}, "head_dim"),
        ({"hidden_size": 66}, "hidden_size"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"sliding_window": 100}, "sliding_window"),
        ({"novelty": 1}, "novelty"),
    ],
)
def test_a_llama_that_is_computed_in_another_way_is_refused_by_the_key(keys: dict[str, Any], named: str) -> None:
    with refused(UnsupportedError, named):
        described("llama", **keys)


def test_a_granites_multipliers_are_read_and_are_one_where_they_are_missing() -> None:
    architecture = described("granite")
    assert architecture.layers[0].attention.scale == MULTIPLIERS["attention_multiplier"]
    assert architecture.embedding_multiplier == MULTIPLIERS["embedding_multiplier"]
    assert architecture.residual_multiplier == MULTIPLIERS["residual_multiplier"]
    assert architecture.logits_divisor == MULTIPLIERS["logits_scaling"]
    plain = described("granite", **dict.fromkeys(MULTIPLIERS))
    assert plain.layers[0].attention.scale == 1
    assert (plain.embedding_multiplier, plain.residual_multiplier, plain.logits_divisor) == (1, 1, 1)


@pytest.mark.parametrize("key", MULTIPLIERS)
@pytest.mark.parametrize("value", [0, -1.0, "2", float("nan")])
def test_a_multiplier_that_is_no_positive_number_is_refused(key: str, value: Any) -> None:
    with refused(UnsupportedError, key):
        described("granite", **{key: value})


def test_a_granite_4_is_described_as_a_granite_3_with_one_tensor_for_gate_and_up() -> None:
    unused = {"mamba_d_state": 128, "mamba_n_heads": 8, "num_experts_per_tok": 0, "init_method": "mup"}
    architecture = described("granitemoehybrid", normalization_function="rmsnorm", **unused)
    assert architecture == described("granitemoehybrid")
    shapes, usual = dict(architecture.tensors()), dict(described("granite").tensors())
    own = {name: shape for name, shape in shapes.items() if name not in usual}
    assert own == {
        f"model.layers.{layer}.shared_mlp.{name}.weight": shape
        for layer in range(2)
        for name, shape in (("input_linear", (2 * INNER, HIDDEN)), ("output_linear", (HIDDEN, INNER)))
    }
    assert architecture.residual_multiplier == MULTIPLIERS["residual_multiplier"]


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"layer_types": ["mamba", "attention"]}, "Mamba"),
        ({"layer_types": ["attention"]}, "layer_types"),
        ({"layer_types": None}, "layer_types"),
        ({"num_local_experts": 8}, "experts"),
        ({"num_local_experts": None}, "experts"),
        ({"position_embedding_type": "nope"}, "position_embedding_type"),
        ({"position_embedding_type": None}, "position_embedding_type"),
        ({"normalization_function": "layernorm"}, "normalization_function"),
        ({"shared_intermediate_size": None}, "shared_intermediate_size"),
    ],
)
def test_a_granite_4_with_parts_of_other_kinds_is_refused_by_the_key(keys: dict[str, Any], named: str) -> None:
    with refused(UnsupportedError, named):
        described("granitemoehybrid", **keys)


def test_a_granite_3_with_experts_is_refused_by_name() -> None:
    with refused(UnsupportedError, "granitemoe"):
        describe({**tiny_config("granite"), "model_type": "granitemoe"})


def gemma(layers: int, **keys: Any) -> list[tuple[int | None, float]]:
    """The window and the base of the rotation of each layer."""
    config = tiny_config("gemma3_text", layers=layers) | keys
    return [(layer.attention.window, layer.attention.rotary.theta) for layer in describe(config).layers]


def test_a_gemma_has_windows_and_another_rotation_in_all_layers_but_every_sixth() -> None:
    local, whole = (WINDOW, 1000.0), (None, 10000.0)
    assert gemma(12, layer_types=None) == [*[local] * 5, whole] * 2
    assert gemma(4, layer_types=None, sliding_window_pattern=2) == [local, whole] * 2
    assert gemma(2, layer_types=[FULL, SLIDES], _sliding_window_pattern=6) == [whole, local]
    assert gemma(1, rope_theta=None, rope_local_base_freq=None, layer_types=[FULL]) == [(None, 1_000_000.0)]
    assert gemma(1, rope_local_base_freq=None, sliding_window=None, layer_types=[SLIDES]) == [(4096, 10_000.0)]


def test_a_gemmas_rotations_are_read_from_the_keys_of_transformers_4_and_5_alike() -> None:
    scaled = {"rope_type": "linear", "factor": 8.0}
    both = {FULL: {**scaled, "rope_theta": 10000.0}, SLIDES: {"rope_type": "default", "rope_theta": 1000.0}}
    new = described("gemma3_text", rope_parameters=both, rope_theta=None, rope_local_base_freq=None)
    assert new == described("gemma3_text", rope_scaling=scaled)
    assert [layer.attention.rotary.scaling is None for layer in new.layers] == [True, False]


def test_a_gemma_is_described_with_its_norms_scale_and_tied_embedding() -> None:
    architecture = described("gemma3_text", tie_word_embeddings=None)
    assert architecture.tied_embeddings
    assert (architecture.norm_offset, architecture.embedding_multiplier) == (1, HIDDEN**0.5)
    assert architecture.layers[0].attention.scale == pytest.approx(48**-0.5)
    norms = [name for name, shape in architecture.layers[0].tensors(HIDDEN) if shape == (HIDDEN,)]
    assert len(norms) == 4
    assert architecture.context_tokens == CONTEXT_TOKENS


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ({"hidden_activation": "gelu"}, "hidden_activation"),
        ({"attention_bias": True}, "attention_bias"),
        ({"query_pre_attn_scalar": 0}, "query_pre_attn_scalar"),
        ({"layer_types": ["full_attention"]}, "layer_types"),
        ({"layer_types": None, "sliding_window_pattern": 0}, "sliding_window_pattern"),
        ({"sliding_window": 0}, "sliding_window"),
        ({"rope_parameters": {"full_attention": {}, "other": {}}}, "rope_parameters"),
        ({"rope_parameters": {"full_attention": {}}}, "rope_parameters"),
        (
            {"rope_parameters": {"full_attention": {}, "sliding_attention": {"rope_type": "linear"}}},
            "sliding_attention",
        ),
    ],
)
def test_a_gemma_that_is_computed_in_another_way_is_refused_by_the_key(keys: dict[str, Any], named: str) -> None:
    with refused(UnsupportedError, named):
        described("gemma3_text", **keys)


def test_a_gemma_with_vision_is_refused_by_name() -> None:
    with refused(UnsupportedError, "gemma3"):
        describe({**tiny_config("gemma3_text"), "model_type": "gemma3"})


@pytest.mark.parametrize(
    ("keys", "context"),
    [({}, CONTEXT_TOKENS), ({"sliding_window": 100}, 100), ({"sliding_window": 4096}, CONTEXT_TOKENS)],
)
def test_the_window_of_a_mistral_bounds_the_context(keys: dict[str, Any], context: int) -> None:
    architecture = described("mistral", **keys)
    assert architecture.context_tokens == context
    assert bool(architecture.notes) == (context == 100)


def test_a_mistral_whose_file_does_not_mention_the_window_has_that_of_transformers() -> None:
    config = {**tiny_config("mistral"), "max_position_embeddings": 8192}
    del config["sliding_window"]
    assert describe(config).context_tokens == 4096


@pytest.mark.parametrize("value", [0, -1, "4096", 4096.5])
def test_a_window_of_a_mistral_that_is_no_number_of_tokens_is_refused(value: Any) -> None:
    with refused(UnsupportedError, "sliding_window"):
        described("mistral", sliding_window=value)
