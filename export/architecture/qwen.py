"""Qwen2, Qwen2.5 and Qwen3 (dense): converts a Hugging Face configuration to a description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.architecture.configuration import Configuration
from export.architecture.dense import dense, divided_head_dim
from export.architecture.description import Architecture
from export.architecture.window import qwen_window


def qwen2(config: Mapping[str, Any]) -> Architecture:
    """Qwen2 and Qwen2.5: biases on query, key and value; the head size is the hidden width divided by the heads.

    Raises:
        UnsupportedError: see `describe`.
    """
    reader = Configuration(config)
    return dense(reader, name="qwen2", head_dim=divided_head_dim(reader), qkv_bias=True, window=qwen_window)


def qwen3(config: Mapping[str, Any]) -> Architecture:
    """Qwen3 dense: no biases, RMSNorm on each query and key head, and an independent head size.

    Raises:
        UnsupportedError: see `describe`.
    """
    reader = Configuration(config)
    reader.require("attention_bias", False)
    return dense(reader, name="qwen3", head_dim=reader.positive("head_dim"), qk_norm=True, window=qwen_window)
