"""Qwen2, Qwen2.5 and Qwen3 (dense): converts a Hugging Face configuration to a description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import UnsupportedError
from export.architecture.configuration import Configuration
from export.architecture.description import Architecture, Attention, FeedForward, Layer
from export.architecture.rope import rotation
from export.architecture.window import window


def qwen2(config: Mapping[str, Any]) -> Architecture:
    """Qwen2 and Qwen2.5: biases on query, key and value; the head size is the hidden width divided by the heads.

    Raises:
        UnsupportedError: see `describe`.
    """
    return _dense(Configuration(config), name="qwen2", qkv_bias=True, qk_norm=False, head_dim=None)


def qwen3(config: Mapping[str, Any]) -> Architecture:
    """Qwen3 dense: no biases, RMSNorm on each query and key head, and an independent head size.

    Raises:
        UnsupportedError: see `describe`.
    """
    reader = Configuration(config)
    reader.require("attention_bias", False)
    return _dense(reader, name="qwen3", qkv_bias=False, qk_norm=True, head_dim=reader.positive("head_dim"))


def _dense(reader: Configuration, *, name: str, qkv_bias: bool, qk_norm: bool, head_dim: int | None) -> Architecture:
    hidden = reader.positive("hidden_size")
    heads = reader.positive("num_attention_heads")
    kv_heads = reader.positive("num_key_value_heads")
    count = reader.positive("num_hidden_layers")
    if head_dim is None:
        if hidden % heads:
            raise UnsupportedError(f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}")
        head_dim = reader.positive("head_dim", hidden // heads)
    if head_dim % 2:
        raise UnsupportedError(f"head_dim {head_dim} is odd; the rotary embedding needs an even number")
    if heads % kv_heads:
        raise UnsupportedError(f"num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}")
    reader.require("hidden_act", "silu")
    rotated, seen = rotation(reader), window(reader, count)
    attention = Attention(heads, kv_heads, head_dim, qkv_bias, qk_norm, rotated.rotary)
    feed_forward = FeedForward(reader.positive("intermediate_size"))
    architecture = Architecture(
        name=name,
        hidden=hidden,
        vocabulary=reader.positive("vocab_size"),
        context_tokens=seen.bounded(rotated.context_tokens),
        norm_epsilon=reader.number("rms_norm_eps"),
        tied_embeddings=reader.flag("tie_word_embeddings", default=False),
        layers=tuple(Layer(f"model.layers.{index}", attention, feed_forward) for index in range(count)),
        notes=tuple(filter(None, (rotated.note, seen.note(rotated.context_tokens)))),
    )
    reader.finish()
    return architecture
