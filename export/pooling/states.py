"""The reference: computes an encoder's token states with numpy in 64-bit floats, text by text, without the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from export.architecture.encoder import Encoder
from export.checkpoint import Checkpoint

Doubles = npt.NDArray[np.float64]
# The error function is almost constant beyond these ends; between two points, a line errs by less than 1e-8.
_END, _POINTS = 6.0, 1 << 16


def token_states(
    checkpoint: Checkpoint,
    encoder: Encoder,
    texts: Sequence[Sequence[int]],
    progress: Callable[[int, int], None],
    first_lengths: Sequence[int] = (),
) -> list[Doubles]:
    """Compute the states of each text's tokens after the last layer.

    Args:
        checkpoint: the weights; one layer's are in memory at a time.
        encoder: the encoder's description.
        texts: token ids of each text or pair, with the special tokens.
        progress: called with (done, total).
        first_lengths: the number of tokens before the second text of each pair; empty if the texts are no pairs.

    Returns:
        float64 [tokens, hidden] of each text.
    """
    tensors = Tensors(checkpoint, encoder.prefix)
    words = checkpoint.read(f"{encoder.prefix}embeddings.word_embeddings.weight")
    places = tensors.read("embeddings.position_embeddings.weight")[encoder.first_position :]
    kinds = tensors.read("embeddings.token_type_embeddings.weight")
    norm = tensors.norm("embeddings.LayerNorm", encoder.norm_epsilon)
    # Without a second text, every token has the first type.
    seconds = first_lengths or [len(ids) for ids in texts]
    states = []
    for ids, second in zip(texts, seconds, strict=True):
        types = np.minimum(np.arange(len(ids)) >= second, len(kinds) - 1).astype(np.int64)
        states.append(norm(words[list(ids)].astype(np.float64) + places[: len(ids)] + kinds[types]))
    for index in range(encoder.layers):
        layer = _layer(tensors, encoder.layer(index), encoder.heads, encoder.norm_epsilon)
        states = [layer(each) for each in states]
        progress(index + 1, encoder.layers)
    return states


class Tensors:
    """The tensors as functions of states, [tokens, width]."""

    def __init__(self, checkpoint: Checkpoint, prefix: str = "") -> None:
        """Read from `checkpoint` tensors whose names begin with `prefix`."""
        self._checkpoint = checkpoint
        self._prefix = prefix

    def read(self, name: str) -> Doubles:
        """A tensor in 64-bit floats."""
        return self._checkpoint.read(f"{self._prefix}{name}").astype(np.float64)

    def dense(self, name: str) -> Callable[[Doubles], Doubles]:
        """A product with a matrix, and its bias."""
        weight, bias = self.read(f"{name}.weight"), self.read(f"{name}.bias")
        return lambda states: states @ weight.T + bias

    def norm(self, name: str, epsilon: float) -> Callable[[Doubles], Doubles]:
        """A normalisation of each state, with weights and biases."""
        weight, bias = self.read(f"{name}.weight"), self.read(f"{name}.bias")

        def normalised(states: Doubles) -> Doubles:
            centred = states - states.mean(-1, keepdims=True)
            variance = (centred**2).mean(-1, keepdims=True)
            return np.asarray(centred / np.sqrt(variance + epsilon) * weight + bias)

        return normalised


def _layer(tensors: Tensors, prefix: str, heads: int, epsilon: float) -> Callable[[Doubles], Doubles]:
    query, key, value = (tensors.dense(f"{prefix}.attention.self.{part}") for part in ("query", "key", "value"))
    mixed = tensors.dense(f"{prefix}.attention.output.dense")
    after_attention = tensors.norm(f"{prefix}.attention.output.LayerNorm", epsilon)
    wide = tensors.dense(f"{prefix}.intermediate.dense")
    narrow = tensors.dense(f"{prefix}.output.dense")
    after_all = tensors.norm(f"{prefix}.output.LayerNorm", epsilon)

    def split(states: Doubles) -> Doubles:
        """[tokens, width] -> [heads, tokens, width of a head]."""
        return states.reshape(len(states), heads, -1).swapaxes(0, 1)

    def layer(states: Doubles) -> Doubles:
        queries, keys, values = split(query(states)), split(key(states)), split(value(states))
        scores = queries @ keys.swapaxes(1, 2) / math.sqrt(queries.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        context = (weights @ values).swapaxes(0, 1).reshape(states.shape)
        attended = after_attention(states + mixed(context))
        return after_all(attended + narrow(_gelu(wide(attended))))

    return layer


def _gelu(values: Doubles) -> Doubles:
    points, errors = _error_function()
    return np.asarray(0.5 * values * (1 + np.interp(values / math.sqrt(2), points, errors)))


@cache
def _error_function() -> tuple[Doubles, Doubles]:
    """Points, and the error function at each."""
    points = np.linspace(-_END, _END, _POINTS + 1)
    return points, np.array([math.erf(point) for point in points])
