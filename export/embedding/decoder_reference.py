"""The states of a decoder's last tokens, computed in 64-bit floats without the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from export.architecture import Architecture, Layer
from export.architecture.description import GELU_TANH
from export.checkpoint import Checkpoint
from export.pooling.states import Doubles, Tensors

_GELU = np.sqrt(2 / np.pi), 0.044715


def last_states(
    checkpoint: Checkpoint,
    architecture: Architecture,
    texts: Sequence[Sequence[int]],
    progress: Callable[[int, int], None],
) -> Doubles:
    """Compute the normalised state of each text's last token.

    Args:
        checkpoint: the weights; one layer's are in memory at a time.
        architecture: the decoder's description.
        texts: token ids of each text, with the special tokens.
        progress: called with (done, total).

    Returns:
        float64 [texts, hidden].
    """
    tensors = Tensors(checkpoint)
    table = checkpoint.read(architecture.embedding)
    states = [table[list(ids)].astype(np.float64) * architecture.embedding_multiplier for ids in texts]
    del table
    for index, layer in enumerate(architecture.layers):
        compute = _layer(tensors, architecture, layer)
        states = [compute(each) for each in states]
        progress(index + 1, len(architecture.layers))
    norm = _norm(tensors, architecture, architecture.final_norm)
    return np.stack([norm(each[-1]) for each in states])


def _norm(tensors: Tensors, architecture: Architecture, name: str) -> Callable[[Doubles], Doubles]:
    weight = tensors.read(name) + architecture.norm_offset

    def normalised(states: Doubles) -> Doubles:
        return np.asarray(states / np.sqrt((states**2).mean(-1, keepdims=True) + architecture.norm_epsilon) * weight)

    return normalised


def _layer(tensors: Tensors, architecture: Architecture, layer: Layer) -> Callable[[Doubles], Doubles]:
    def norm(name: str) -> Callable[[Doubles], Doubles]:
        return _norm(tensors, architecture, f"{layer.prefix}.{name}.weight")

    before, middle = norm("input_layernorm"), norm(layer.middle_norm)
    attend, feed = _attention(tensors, architecture, layer), _feed_forward(tensors, layer)
    after = [norm(f"post_{part}_layernorm") for part in ("attention", "feedforward")] if layer.norms_outputs else []
    factor = architecture.residual_multiplier

    def compute(states: Doubles) -> Doubles:
        attended = attend(before(states))
        states = states + factor * (after[0](attended) if after else attended)
        fed = feed(middle(states))
        return states + factor * (after[1](fed) if after else fed)

    return compute


def _attention(tensors: Tensors, architecture: Architecture, layer: Layer) -> Callable[[Doubles], Doubles]:
    attention, prefix = layer.attention, f"{layer.prefix}.self_attn"
    weights = {part: tensors.read(f"{prefix}.{part}_proj.weight") for part in "qkvo"}
    biases = {part: tensors.read(f"{prefix}.{part}_proj.bias") if attention.qkv_bias else 0.0 for part in "qkv"}
    norms = {part: _norm(tensors, architecture, f"{prefix}.{part}_norm.weight") for part in "qk" if attention.qk_norm}

    def heads(states: Doubles, part: str) -> Doubles:
        """[heads, tokens, head_dim]."""
        split = (states @ weights[part].T + biases[part]).reshape(len(states), -1, attention.head_dim)
        return norms[part](split).swapaxes(0, 1) if part in norms else split.swapaxes(0, 1)

    def attend(states: Doubles) -> Doubles:
        cosines, sines = attention.rotary.tables(attention.head_dim, len(states))
        queries, keys = (_rotated(heads(states, part), cosines, sines) for part in "qk")
        groups = attention.heads // attention.kv_heads
        keys, values = (np.repeat(each, groups, axis=0) for each in (keys, heads(states, "v")))
        scores = queries @ keys.swapaxes(1, 2) * attention.scale
        distance = np.arange(len(states))[:, None] - np.arange(len(states))
        seen = (distance >= 0) & (distance < (attention.window or len(states)))
        shares = np.exp(np.where(seen, scores - scores.max(-1, keepdims=True), -np.inf))
        shares /= shares.sum(-1, keepdims=True)
        context = (shares @ values).swapaxes(0, 1).reshape(len(states), -1)
        return np.asarray(context @ weights["o"].T)

    return attend


def _rotated(heads: Doubles, cosines: npt.NDArray[np.float32], sines: npt.NDArray[np.float32]) -> Doubles:
    first, second = np.split(heads, 2, axis=-1)
    return np.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)


def _feed_forward(tensors: Tensors, layer: Layer) -> Callable[[Doubles], Doubles]:
    shape = layer.feed_forward
    if shape.gate_up:
        gate, up = np.split(tensors.read(f"{layer.prefix}.{shape.gate_up}.weight"), 2)
    else:
        gate, up = (tensors.read(f"{layer.prefix}.mlp.{part}_proj.weight") for part in ("gate", "up"))
    down = tensors.read(f"{layer.prefix}.{shape.down}.weight")

    def feed(states: Doubles) -> Doubles:
        opened = states @ gate.T
        if shape.activation == GELU_TANH:
            factor, cubic = _GELU
            active = 0.5 * opened * (1 + np.tanh(factor * (opened + cubic * opened**3)))
        else:
            active = opened / (1 + np.exp(-opened))
        return np.asarray((active * (states @ up.T)) @ down.T)

    return feed
