"""Computes the sizes that the engine needs from the description of an architecture."""

from __future__ import annotations

from appliance.artefact.manifest import ModelShape
from appliance.errors import UnsupportedError
from export.architecture import Architecture


def model_shape(architecture: Architecture, tokens: int, cache_dtype: str) -> ModelShape:
    """The shape, for a tokenizer of `tokens` tokens and a cache of this type.

    Raises:
        UnsupportedError: the layers' caches differ in shape.
    """
    shapes = {(layer.attention.kv_heads, layer.attention.head_dim) for layer in architecture.layers}
    if len(shapes) != 1:
        raise UnsupportedError(
            "the model's layers have caches of different shapes, which this version does not support"
        )
    ((kv_heads, head_dim),) = shapes
    return ModelShape(
        layers=len(architecture.layers),
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=architecture.vocabulary,
        tokens=tokens,
        context_tokens=architecture.context_tokens,
        cache_dtype=cache_dtype,
    )
