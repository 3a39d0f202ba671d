"""The frozen description of a decoder-only transformer, with the tensor names of Hugging Face checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.errors import UnsupportedError
from export.architecture.rotary import Rotary


@dataclass(frozen=True)
class Attention:
    """Grouped-query self-attention with rotary positions.

    Attributes:
        heads: query heads.
        kv_heads: key and value heads; divides `heads`.
        head_dim: elements per head, read from the configuration: it may differ from hidden / heads.
        qkv_bias: query, key and value projections add a bias (Qwen2 and 2.5).
        qk_norm: apply RMSNorm to each head of query and key before the rotation (Qwen3).
        rotary: see Rotary.
        scale: factor of the scores before the softmax.
        window: number of the last tokens that a token attends to, itself included; None for all (Gemma 3).
    """

    heads: int
    kv_heads: int
    head_dim: int
    qkv_bias: bool
    qk_norm: bool
    rotary: Rotary
    scale: float
    window: int | None = None

    @property
    def query_width(self) -> int:
        """Elements of all query heads."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Elements of all key heads, and of all value heads."""
        return self.kv_heads * self.head_dim


# Activations of the feed-forward: x * sigmoid(x), and the approximation of GELU with a tangent.
SILU, GELU_TANH = "silu", "gelu_tanh"


@dataclass(frozen=True)
class FeedForward:
    """Gated feed-forward: down(activation(gate(x)) * up(x)).

    Attributes:
        inner: width between.
        activation: SILU or GELU_TANH.
        gate_up: name below the layer's prefix of the one tensor that has the rows of gate and then those of up (Granite
            4); empty if they are two tensors.
        down: name below the layer's prefix of the last matrix.
    """

    inner: int
    activation: str = SILU
    gate_up: str = ""
    down: str = "mlp.down_proj"


@dataclass(frozen=True)
class Layer:
    """One pre-norm decoder layer: x + m * attention(norm(x)), then x + m * feed_forward(norm(x)); m is usually 1.

    Attributes:
        prefix: prefix of its tensors' names, for example "model.layers.0".
        attention: see Attention.
        feed_forward: see FeedForward.
        norms_outputs: the results of attention and feed-forward are normalised before they are added (Gemma 3).
    """

    prefix: str
    attention: Attention
    feed_forward: FeedForward
    norms_outputs: bool = False

    @property
    def middle_norm(self) -> str:
        """Name below the prefix of the norm before the feed-forward."""
        return "pre_feedforward_layernorm" if self.norms_outputs else "post_attention_layernorm"

    def tensors(self, hidden: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the name below the prefix and the shape of each of its tensors, for a residual stream of this width."""
        attention, feed_forward = self.attention, self.feed_forward
        yield "input_layernorm.weight", (hidden,)
        for part, width in (("q", attention.query_width), ("k", attention.kv_width), ("v", attention.kv_width)):
            yield f"self_attn.{part}_proj.weight", (width, hidden)
            if attention.qkv_bias:
                yield f"self_attn.{part}_proj.bias", (width,)
        if attention.qk_norm:
            yield "self_attn.q_norm.weight", (attention.head_dim,)
            yield "self_attn.k_norm.weight", (attention.head_dim,)
        yield "self_attn.o_proj.weight", (hidden, attention.query_width)
        yield f"{self.middle_norm}.weight", (hidden,)
        if self.norms_outputs:
            yield "post_attention_layernorm.weight", (hidden,)
            yield "post_feedforward_layernorm.weight", (hidden,)
        if feed_forward.gate_up:
            yield f"{feed_forward.gate_up}.weight", (2 * feed_forward.inner, hidden)
        else:
            yield "mlp.gate_proj.weight", (feed_forward.inner, hidden)
            yield "mlp.up_proj.weight", (feed_forward.inner, hidden)
        yield f"{feed_forward.down}.weight", (hidden, feed_forward.inner)


@dataclass(frozen=True)
class Architecture:
    """A whole model.

    Attributes:
        name: the architecture's name, as in Hugging Face's model_type.
        hidden: width of the residual stream.
        vocabulary: rows of the embedding, which may exceed the tokenizer's entries.
        context_tokens: longest sequence that the model computes as its publisher does.
        norm_epsilon: added under the square root in every RMSNorm.
        tied_embeddings: the output head uses the embedding's matrix.
        layers: in order from input to output.
        notes: lines for people about how the configuration was read.
        embedding_multiplier: factor of the embedding (Granite, Gemma 3).
        residual_multiplier: factor of what a layer's attention and feed-forward add, `m` in Layer (Granite).
        logits_divisor: divisor of the logits (Granite).
        norm_offset: what is added to the weights of all norms (Gemma 3).
    """

    name: str
    hidden: int
    vocabulary: int
    context_tokens: int
    norm_epsilon: float
    tied_embeddings: bool
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()
    embedding_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    logits_divisor: float = 1.0
    norm_offset: float = 0.0

    embedding: str = "model.embed_tokens.weight"
    final_norm: str = "model.norm.weight"

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the name and shape of every tensor that the graph reads; a matrix is [out, in]."""
        yield self.embedding, (self.vocabulary, self.hidden)
        for layer in self.layers:
            for name, shape in layer.tensors(self.hidden):
                yield f"{layer.prefix}.{name}", shape
        yield self.final_norm, (self.hidden,)
        if not self.tied_embeddings:
            yield self.head, (self.vocabulary, self.hidden)

    def depth(self, tensor: str) -> float:
        """The relative depth of the layer that owns `tensor`: 0 for the first layer, towards 1 for the last.

        Raises:
            UnsupportedError: no layer owns the tensor.
        """
        for index, layer in enumerate(self.layers):
            if tensor.startswith(f"{layer.prefix}."):
                return index / len(self.layers)
        raise UnsupportedError(f"the tensor {tensor!r} belongs to no layer of {self.name}")

    @property
    def head(self) -> str:
        """Name of the output head's tensor."""
        return self.embedding if self.tied_embeddings else "lm_head.weight"
