"""Granite 3 (dense): converts a Hugging Face configuration to a description.

It has Llama's shape, and multiplies the embedding, the scores, what each layer adds, and the logits by constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from export.architecture.configuration import Configuration
from export.architecture.dense import dense, divided_head_dim
from export.architecture.description import Architecture


def granite(config: Mapping[str, Any]) -> Architecture:
    """Granite 3: where a multiplier or the base of the rotation is missing, transformers' value applies.

    Raises:
        UnsupportedError: see `describe`.
    """
    reader = Configuration(config)
    reader.require("attention_bias", False)
    heads, head_dim = reader.positive("num_attention_heads"), divided_head_dim(reader)
    embedding, residual = reader.number("embedding_multiplier", 1.0), reader.number("residual_multiplier", 1.0)
    divisor, scale = reader.number("logits_scaling", 1.0), reader.number("attention_multiplier", 1.0)
    described = dense(reader, name="granite", head_dim=head_dim, kv_heads=heads, theta=10000.0, scale=scale)
    return replace(described, embedding_multiplier=embedding, residual_multiplier=residual, logits_divisor=divisor)
