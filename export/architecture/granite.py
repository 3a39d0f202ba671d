"""Granite 3 and 4 (dense): converts a Hugging Face configuration to a description.

They have Llama's shape, and multiply the embedding, the scores, what each layer adds, and the logits by constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from appliance.errors import UnsupportedError
from appliance.number import shown
from export.architecture.configuration import Configuration
from export.architecture.dense import dense, divided_head_dim
from export.architecture.description import Architecture, FeedForward

# Of Granite 4: settings of experts and of Mamba layers, which a dense model of attention layers does not have.
_UNUSED = """
    intermediate_size mamba_chunk_size mamba_conv_bias mamba_d_conv mamba_d_head mamba_d_state mamba_expand
    mamba_n_groups mamba_n_heads mamba_proj_bias num_experts_per_tok time_step_limit"""
_ATTENTION = ("attention", "full_attention")


def granite(config: Mapping[str, Any]) -> Architecture:
    """Granite 3: where a multiplier or the base of the rotation is missing, transformers' value applies.

    Raises:
        UnsupportedError: see `describe`.
    """
    return _multiplied(Configuration(config), "granite", None)


def granite4(config: Mapping[str, Any]) -> Architecture:
    """Granite 4 as a dense model: attention in all layers, no experts; gate and up are one tensor.

    Raises:
        UnsupportedError: see `describe`; or the model has experts, Mamba layers (names with "-h") or no positions.
    """
    reader = Configuration(config)
    experts, kinds = reader.take("num_local_experts"), reader.take("layer_types")
    if experts != 0:
        raise UnsupportedError(
            f"the configuration's num_local_experts is {shown(experts)}; a Granite 4 with experts is not supported"
        )
    layers = reader.positive("num_hidden_layers")
    if not isinstance(kinds, list) or len(kinds) != layers or any(kind not in _ATTENTION for kind in kinds):
        raise UnsupportedError(
            f"the configuration's layer_types are {shown(kinds)}, expected {layers} of {_ATTENTION[0]!r}: Mamba layers "
            "are not supported",
            hint='use the dense model, whose name has no "-h"',
        )
    positions = reader.take("position_embedding_type")
    if positions != "rope":
        raise UnsupportedError(f"the configuration's position_embedding_type is {shown(positions)}, expected 'rope'")
    reader.require("normalization_function", "rmsnorm")
    for key in _UNUSED.split():
        reader.take(key)
    inner = reader.positive("shared_intermediate_size")
    feed_forward = FeedForward(inner, gate_up="shared_mlp.input_linear", down="shared_mlp.output_linear")
    return _multiplied(reader, "granitemoehybrid", feed_forward)


def _multiplied(reader: Configuration, name: str, feed_forward: FeedForward | None) -> Architecture:
    reader.require("attention_bias", False)
    embedding, residual = reader.number("embedding_multiplier", 1.0), reader.number("residual_multiplier", 1.0)
    divisor, scale = reader.number("logits_scaling", 1.0), reader.number("attention_multiplier", 1.0)
    described = dense(
        reader,
        name=name,
        head_dim=divided_head_dim(reader),
        kv_heads=reader.positive("num_attention_heads"),
        theta=10000.0,
        scale=scale,
        feed_forward=feed_forward,
    )
    return replace(described, embedding_multiplier=embedding, residual_multiplier=residual, logits_divisor=divisor)
