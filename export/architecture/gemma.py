"""Gemma 3 (text): converts a Hugging Face configuration to a description.

Most layers attend to a window of the last tokens and rotate with another base than the others. Each layer normalises
its outputs too, all norms multiply by 1 + weight, and the embedding is multiplied by the root of its width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from appliance.errors import UnsupportedError
from appliance.number import shown
from export.architecture.configuration import Configuration
from export.architecture.dense import dense
from export.architecture.description import GELU_TANH, Architecture, FeedForward, Layer
from export.architecture.rotary import Rotary
from export.architecture.window import gemma_window

_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_GLOBAL_THETA, _LOCAL_THETA = 1_000_000.0, 10_000.0
_LOCAL_KEY = "rope_local_base_freq"


def gemma3(config: Mapping[str, Any]) -> Architecture:
    """Gemma 3 without vision: the models of 270M and 1B, or the language model of a larger one.

    Raises:
        UnsupportedError: see `describe`.
    """
    reader = Configuration(_with_one_rotation(config))
    for key in ("attention_bias", "use_bidirectional_attention"):
        reader.require(key, False)
    reader.require("hidden_activation", "gelu_pytorch_tanh")
    local = Rotary(reader.number(_LOCAL_KEY, _LOCAL_THETA))
    windows = gemma_window(reader, reader.positive("num_hidden_layers"))
    described = dense(
        reader,
        name="gemma3_text",
        head_dim=reader.positive("head_dim", 256),
        qk_norm=True,
        theta=_GLOBAL_THETA,
        scale=reader.number("query_pre_attn_scalar", 256.0) ** -0.5,
        feed_forward=FeedForward(reader.positive("intermediate_size"), activation=GELU_TANH),
        tied=True,
    )

    def layer(plain: Layer, window: int | None) -> Layer:
        rotary = plain.attention.rotary if window is None else local
        return replace(plain, attention=replace(plain.attention, rotary=rotary, window=window), norms_outputs=True)

    return replace(
        described,
        layers=tuple(map(layer, described.layers, windows)),
        embedding_multiplier=described.hidden**0.5,
        norm_offset=1.0,
    )


def _with_one_rotation(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration with the keys of transformers 4, if it has the two rotations in the form of transformers 5."""
    both = config.get("rope_parameters")
    if not isinstance(both, Mapping) or _GLOBAL not in both:
        return config
    local = both.get(_LOCAL)
    unknown = set(both) - {_GLOBAL, _LOCAL}
    if unknown or not isinstance(local, Mapping) or set(local) - {"rope_type", "rope_theta"}:
        raise UnsupportedError(
            f"the configuration's rope_parameters are {shown(both)}, expected {_GLOBAL} and {_LOCAL}"
        )
    if local.get("rope_type", "default") != "default":
        raise UnsupportedError(f"the configuration scales the rotation of {_LOCAL}, which is not supported")
    return {**config, "rope_parameters": both[_GLOBAL], _LOCAL_KEY: local.get("rope_theta")}
