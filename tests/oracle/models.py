"""The tiny checkpoints that the oracle computes, by the names of their golden files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.oracle.texts import LONG_PROMPT, TINY_PROMPTS

_YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
# Options of `make_tiny_checkpoint`.
TINY: Mapping[str, Mapping[str, Any]] = {
    "tiny-qwen2": {"model_type": "qwen2"},
    "tiny-qwen2-tied": {"model_type": "qwen2", "tie": True},
    "tiny-qwen3": {"model_type": "qwen3"},
    "tiny-qwen3-tied": {"model_type": "qwen3", "tie": True},
    "tiny-llama": {"model_type": "llama", "head": 32},
    "tiny-llama-tied": {"model_type": "llama", "tie": True},
    "tiny-granite": {"model_type": "granite"},
    "tiny-granite-tied": {"model_type": "granite", "tie": True},
    "tiny-granite-4": {"model_type": "granitemoehybrid", "tie": True},
    "tiny-gemma3": {"model_type": "gemma3_text", "tie": True, "layers": 4},
    "tiny-mistral": {"model_type": "mistral"},
}
# Rotations that are scaled, with and without effect, and a window that is as long as the context.
SCALED: Mapping[str, Mapping[str, Any]] = {
    "tiny-qwen2-yarn": {"max_position_embeddings": 128, "rope_scaling": _YARN},
    "tiny-qwen2-yarn-mscale": {"rope_scaling": {**_YARN, "mscale": 1.0, "mscale_all_dim": 0.7, "truncate": False}},
    "tiny-qwen3-yarn": {
        "model_type": "qwen3",
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 128,
            "attention_factor": 0.9,
            "beta_fast": 8,
            "beta_slow": 2,
        },
    },
    "tiny-qwen2-linear": {"rope_scaling": {"rope_type": "linear", "factor": 2.5}},
    "tiny-qwen2-llama3": {"rope_scaling": _LLAMA3},
    "tiny-llama-llama3": {"model_type": "llama", "tie": True, "rope_scaling": _LLAMA3},
    "tiny-mistral-window": {"model_type": "mistral", "max_position_embeddings": 1024, "sliding_window": 512},
    "tiny-qwen2-dynamic": {"rope_scaling": {"type": "dynamic", "factor": 4.0}},
    "tiny-qwen3-window": {
        "model_type": "qwen3",
        "max_position_embeddings": 1024,
        "use_sliding_window": True,
        "sliding_window": 512,
        "max_window_layers": 1,
    },
}


def prompts(name: str) -> Sequence[Sequence[int]]:
    """The prompts for a model: scaled rotations need a long one."""
    return TINY_PROMPTS if name in TINY else (*TINY_PROMPTS, LONG_PROMPT)
