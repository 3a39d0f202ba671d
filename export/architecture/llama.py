"""Llama, Mistral and models of their shape (SmolLM2): converts a Hugging Face configuration to a description.

None of them has biases or norms on heads. Where a key is missing, transformers' value applies: old files lack some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.architecture.configuration import Configuration
from export.architecture.dense import dense, divided_head_dim
from export.architecture.description import Architecture
from export.architecture.window import mistral_window

_THETA = 10000.0


def llama(config: Mapping[str, Any]) -> Architecture:
    """Llama 2 and 3, SmolLM2 and others: without a number of key and value heads, it is that of the query heads.

    Raises:
        UnsupportedError: see `describe`.
    """
    reader = Configuration(config)
    reader.require("attention_bias", False)
    heads = reader.positive("num_attention_heads")
    return dense(reader, name="llama", head_dim=divided_head_dim(reader), kv_heads=heads, theta=_THETA)


def mistral(config: Mapping[str, Any]) -> Architecture:
    """Mistral: Llama's shape, and a sliding window in all layers if the configuration states one.

    Raises:
        UnsupportedError: see `describe`.
    """
    reader = Configuration(config)
    return dense(reader, name="mistral", head_dim=divided_head_dim(reader), theta=_THETA, window=mistral_window)
