"""Shapes of published models: the configurations that their makers publish, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _qwen3(hidden: int, inner: int, layers: int, heads: int) -> Mapping[str, Any]:
    return {
        "model_type": "qwen3",
        "architectures": ["Qwen3ForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "attention_bias": False,
        "vocab_size": 151_936,
        "max_position_embeddings": 40_960,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "tie_word_embeddings": True,
    }


# Source: config.json of each model's repository.
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "Qwen2.5-0.5B": {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "tie_word_embeddings": True,
    },
    "Qwen3-0.6B": _qwen3(1024, 3072, 28, 16),
    "Qwen3-1.7B": _qwen3(2048, 6144, 28, 16),
    "Qwen3-4B": _qwen3(2560, 9728, 36, 32),
}
# Number of tokens of the tokenizer that all of them share.
TOKENS = 151_665
