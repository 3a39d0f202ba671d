"""Maps GGUF's names of tensors and settings to Hugging Face's, one table per architecture. Unknown names are errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from appliance.errors import IntegrityError, UnsupportedError
from appliance.number import shown
from export.checkpoint.gguf_header import Header

_OUTSIDE_LAYERS: Mapping[str, str] = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_LAYER: Mapping[str, str] = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER = re.compile(r"blk\.(\d+)\.([a-z_]+)\.(weight|bias)")

# Settings below `<architecture>.` -> the Hugging Face key of each. `describe` checks the values.
_SETTINGS: Mapping[str, str] = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.scale": "attention_multiplier",
    "embedding_scale": "embedding_multiplier",
    "logit_scale": "logits_scaling",
    "residual_scale": "residual_multiplier",
    "rope.freq_base": "rope_theta",
}
# This tensor has a divisor for each frequency of the rotation: llama.cpp's converter writes it for Llama 3.1 and later.
FREQUENCIES = "rope_freqs.weight"
_SCALING = "rope.scaling."
# Settings below `<architecture>.rope.scaling.` -> the key of each in Hugging Face's rope_scaling.
_SCALINGS: Mapping[str, str] = {
    "type": "rope_type",
    "factor": "factor",
    "original_context_length": "original_max_position_embeddings",
    "yarn_beta_fast": "beta_fast",
    "yarn_beta_slow": "beta_slow",
}
# The values that llama.cpp takes if a setting is missing. A `yarn_attn_factor` is refused with any value: llama.cpp's
# converter writes transformers' attention_factor into it, but llama.cpp multiplies it with the factor of the paper.
_NEUTRAL_SCALINGS: Mapping[str, float] = {"attn_factor": 1, "yarn_ext_factor": 1, "yarn_log_multiplier": 0}
# Whether the model was trained with the scaling: it changes nothing that is computed.
_FINETUNED = "finetuned"
# llama.cpp's values for settings that a file with scaling omits.
_DEFAULT_SCALING: Mapping[str, Any] = {"rope_type": "linear", "factor": 1.0}
_NO_SCALING = "none"
_TOKENS: Mapping[str, str] = {
    "tokenizer.ggml.bos_token_id": "bos_token_id",
    "tokenizer.ggml.eos_token_id": "eos_token_id",
    "tokenizer.ggml.padding_token_id": "pad_token_id",
}


@dataclass(frozen=True)
class Dialect:
    """How llama.cpp's converter writes an architecture.

    Attributes:
        config: Hugging Face keys that the file omits because the architecture implies them.
        required: settings that must be there: llama.cpp and transformers have different values for a missing one.
        finetuned_rotates: whether a model was trained with the scaled rotation decides whether there is a rotation.
        matrices_as_published: query and key rows are in the published order. Qwen's converter keeps this order, because
            llama.cpp rotates halves there; Llama's permutes them for the rotation of neighbours: see gguf_rows.
    """

    config: Mapping[str, Any]
    required: tuple[str, ...] = ()
    finetuned_rotates: bool = False
    matrices_as_published: bool = True


DIALECTS: Mapping[str, Dialect] = {
    "granite": Dialect(
        {"model_type": "granite", "hidden_act": "silu"},
        required=("attention.scale",),
        finetuned_rotates=True,
        matrices_as_published=False,
    ),
    # Llama, Mistral, SmolLM2 and others of their shape.
    "llama": Dialect({"model_type": "llama", "hidden_act": "silu"}, matrices_as_published=False),
    "qwen2": Dialect({"model_type": "qwen2", "hidden_act": "silu"}),
    "qwen3": Dialect({"model_type": "qwen3", "hidden_act": "silu", "attention_bias": False}),
}


def dialect_of(header: Header) -> tuple[str, Dialect]:
    """Return the file's architecture and its dialect.

    Raises:
        UnsupportedError: the architecture is unknown.
    """
    name = header.metadata.get("general.architecture")
    dialect = DIALECTS.get(str(name))
    if dialect is None:
        raise UnsupportedError(
            f"the GGUF file's architecture {name!r} is not supported", hint=f"supported: {', '.join(sorted(DIALECTS))}"
        )
    return str(name), dialect


def hugging_face_name(name: str) -> str:
    """Translate a tensor's name.

    Raises:
        UnsupportedError: no supported architecture has this tensor.
    """
    if name in _OUTSIDE_LAYERS:
        return _OUTSIDE_LAYERS[name]
    match = _LAYER.fullmatch(name)
    if match is None or match[2] not in _IN_LAYER:
        raise UnsupportedError(f"the GGUF file has the tensor {name}, which is unknown")
    return f"model.layers.{match[1]}.{_IN_LAYER[match[2]]}.{match[3]}"


def config_of(header: Header, frequency_divisors: list[float] | None = None) -> dict[str, Any]:
    """Create the keys of Hugging Face's config.json from the file's metadata and the values of the tensor FREQUENCIES.

    Raises:
        UnsupportedError: the architecture, or a setting of it, is unknown; or the rotation is scaled in two ways.
        IntegrityError: settings contradict each other or the tensors.
    """
    architecture, dialect = dialect_of(header)
    metadata = header.metadata
    config = dict(dialect.config)
    config.update({key: metadata[name] for name, key in _TOKENS.items() if name in metadata})
    prefix = f"{architecture}."
    for name in sorted(metadata):
        if name.startswith(prefix):
            _add_setting(config, name.removeprefix(prefix), metadata[name])
    _check_dialect(dialect, metadata, prefix)
    if config.get("rope_scaling", {}).get("rope_type") == _NO_SCALING:
        del config["rope_scaling"]
    if frequency_divisors is not None:
        if "rope_scaling" in config:
            raise UnsupportedError(
                f"the GGUF file scales the rotation by settings and by the tensor {FREQUENCIES}",
                hint="use the model's safetensors files",
            )
        config["rope_scaling"] = {"rope_type": "rope_freqs", "divisors": frequency_divisors}
    embedding = header.tensors.get("token_embd.weight")
    if embedding is None:
        raise IntegrityError("the GGUF file has no token_embd.weight", hint="get the files again")
    config["vocab_size"] = embedding.shape[0]
    config["tie_word_embeddings"] = "output.weight" not in header.tensors
    if metadata.get("split.count", 1) not in (0, 1):
        raise UnsupportedError("the GGUF file is one part of several", hint="join the parts with llama-gguf-split")
    _check_same(config, "head_dim", metadata.get(f"{prefix}attention.value_length"))
    _check_same(config, "head_dim", metadata.get(f"{prefix}rope.dimension_count"))
    _check_same(config, "vocab_size", metadata.get(f"{prefix}vocab_size"))
    return config


def _check_dialect(dialect: Dialect, metadata: Mapping[str, Any], prefix: str) -> None:
    for name in dialect.required:
        if prefix + name not in metadata:
            raise UnsupportedError(f"the GGUF file lacks the setting {name}", hint="use the model's safetensors files")
    if dialect.finetuned_rotates and metadata.get(f"{prefix}{_SCALING}{_FINETUNED}") is False:
        raise UnsupportedError("the GGUF file's model has no rotary positions, which this version does not support")


def _add_setting(config: dict[str, Any], name: str, value: Any) -> None:
    if name in {"attention.value_length", "rope.dimension_count", "vocab_size"}:
        return  # the caller compares these with other settings
    if name.startswith(_SCALING):
        _add_scaling(config, name.removeprefix(_SCALING), value)
        return
    if name not in _SETTINGS:
        raise UnsupportedError(
            f"the GGUF file has the setting {name}, which is unknown",
            hint="an unknown setting could change what the model computes, so the export stops",
        )
    config[_SETTINGS[name]] = _shortest(value) if isinstance(value, float) else value


def _add_scaling(config: dict[str, Any], name: str, value: Any) -> None:
    scaling = config.setdefault("rope_scaling", dict(_DEFAULT_SCALING))
    if name in _SCALINGS:
        scaling[_SCALINGS[name]] = _shortest(value) if isinstance(value, float) else value
    elif name != _FINETUNED and _NEUTRAL_SCALINGS.get(name) != value:
        raise UnsupportedError(
            f"the GGUF file has the setting {_SCALING}{name} with the value {shown(value)}, which is not supported",
            hint="use the model's safetensors files",
        )


def _shortest(value: float) -> float:
    """The published value: the shortest decimal that gives the same 32-bit float as in the file (1e-06)."""
    with np.errstate(over="ignore"):
        return float(str(np.float32(value)))


def _check_same(config: Mapping[str, Any], key: str, value: Any) -> None:
    stated = config.get(key)
    if stated is None and key == "head_dim":
        hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
        if isinstance(hidden, int) and isinstance(heads, int) and heads:
            stated = hidden // heads
    if value is not None and value != stated:
        raise UnsupportedError(f"the GGUF file contains two values for {key}: {stated} and {value}")
