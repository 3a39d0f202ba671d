"""The common part of all dense decoders: converts the keys that they share to a description."""

from __future__ import annotations

from collections.abc import Callable

from appliance.errors import UnsupportedError
from export.architecture.configuration import Configuration
from export.architecture.description import SILU, Architecture, Attention, FeedForward, Layer
from export.architecture.rope import rotation
from export.architecture.window import Window


def dense(
    reader: Configuration,
    *,
    name: str,
    head_dim: int,
    qkv_bias: bool = False,
    qk_norm: bool = False,
    kv_heads: int | None = None,
    theta: float | None = None,
    scale: float | None = None,
    feed_forward: FeedForward | None = None,
    window: Callable[[Configuration, int], Window] | None = None,
    tied: bool = False,
) -> Architecture:
    """Read a configuration to its end.

    Args:
        reader: the configuration; the caller has read the keys that only its architecture has.
        name: see Architecture.
        head_dim: see Attention.
        qkv_bias: see Attention.
        qk_norm: see Attention.
        kv_heads: key and value heads if the configuration does not state them; None if it must.
        theta: base of the rotation if the configuration does not state it; None if it must.
        scale: factor of the scores; None for 1 / sqrt(head_dim).
        feed_forward: see FeedForward; None for the usual one, as wide as intermediate_size.
        window: reads the sliding window for a number of layers; None if no window limits the context.
        tied: whether the embedding is the head if the configuration does not state it.

    Raises:
        UnsupportedError: see `describe`.
    """
    heads = reader.positive("num_attention_heads")
    kv_heads = reader.positive("num_key_value_heads", kv_heads)
    count = reader.positive("num_hidden_layers")
    if head_dim % 2:
        raise UnsupportedError(f"head_dim {head_dim} is odd; the rotary embedding needs an even number")
    if heads % kv_heads:
        raise UnsupportedError(f"num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}")
    rotated = rotation(reader, head_dim, theta)
    seen = Window() if window is None else window(reader, count)
    scale = head_dim**-0.5 if scale is None else scale
    attention = Attention(heads, kv_heads, head_dim, qkv_bias, qk_norm, rotated.rotary, scale)
    if feed_forward is None:
        feed_forward = FeedForward(reader.positive("intermediate_size"))
    if feed_forward.activation == SILU:
        reader.require("hidden_act", "silu")
    architecture = Architecture(
        name=name,
        hidden=reader.positive("hidden_size"),
        vocabulary=reader.positive("vocab_size"),
        context_tokens=seen.bounded(rotated.context_tokens),
        norm_epsilon=reader.number("rms_norm_eps"),
        tied_embeddings=reader.flag("tie_word_embeddings", default=tied),
        layers=tuple(Layer(f"model.layers.{index}", attention, feed_forward) for index in range(count)),
        notes=tuple(filter(None, (rotated.note, seen.note(rotated.context_tokens)))),
    )
    reader.finish()
    return architecture


def divided_head_dim(reader: Configuration) -> int:
    """The stated head size; if none is stated, the hidden width divided by the heads.

    Raises:
        UnsupportedError: the key has a wrong value, or the width cannot be divided.
    """
    hidden, heads = reader.positive("hidden_size"), reader.positive("num_attention_heads")
    if reader.take("head_dim") is not None:
        return reader.positive("head_dim")
    if hidden % heads:
        raise UnsupportedError(f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}")
    return hidden // heads
