"""What a graph holds of a checkpoint: bytes, and how many of them a decoding step reads. It reads shapes alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from export.architecture import Architecture
from export.checkpoint import Checkpoint
from export.presets import FLOAT, FLOAT32, WHOLE_ROW, Preset, Weights

_BYTE_BITS = 8
_MATRIX = 2


def float_bytes(preset: Preset) -> int:
    """Bytes of one activation, scale or element of the cache."""
    return 4 if preset.activations == FLOAT32 else 2


@dataclass(frozen=True)
class Held:
    """One tensor in one form, as the graph holds it.

    Attributes:
        elements: numbers in it.
        size_bytes: what they take, scales and zero points included.
        read_bytes: of these, what a decoding step reads, however many sequences take part.
    """

    elements: int
    size_bytes: int
    read_bytes: int


def held(checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> Iterator[Held]:
    """Yield every weight of the graph in every form it is held in, the rotary tables too."""
    size = float_bytes(preset)
    for name in checkpoint.names():
        shape = checkpoint.shape(name)
        if len(shape) < _MATRIX:
            yield _multiplied(shape, FLOAT, size)
        elif name == architecture.embedding:
            if not (architecture.tied_embeddings and preset.shares_tied_table):
                yield _looked_up(shape, preset.embedding, size, rows=1)
        elif name != architecture.head:
            yield _multiplied(shape, preset.weights(name, architecture.depth(name)), size)
    # Tied or not: the table of the embedding and the matrix of the head are held apart, each in its own form, unless
    # one table serves as both.
    head = checkpoint.shape(architecture.head)
    yield _multiplied(head, preset.head, size)
    finer = preset.rescoring
    if finer and not (architecture.tied_embeddings and finer.weights == preset.embedding):
        # The rows that score tokens again; of tied embeddings they are the embedding's own.
        yield _looked_up(head, finer.weights, size, rows=finer.tokens)
    for _, width in sorted({(layer.attention.rope_theta, layer.attention.head_dim) for layer in architecture.layers}):
        # Half as many cosines, and as many sines.
        yield _looked_up((architecture.context_tokens, width), FLOAT, size, rows=1)


@dataclass(frozen=True)
class Sizes:
    """What a model takes with a preset.

    Attributes:
        weights_bytes: all weights in memory.
        read_bytes: weights that a decoding step reads, however many sequences take part.
        cache_bytes_per_token: key and value cache of one token over all layers.
        context_tokens: the longest prompt plus completion that the model allows.
    """

    weights_bytes: int
    read_bytes: int
    cache_bytes_per_token: int
    context_tokens: int

    @classmethod
    def of(cls, checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> Sizes:
        """Add up the tensors' shapes."""
        tensors = list(held(checkpoint, architecture, preset))
        cached = sum(2 * layer.attention.kv_width for layer in architecture.layers)
        return cls(
            weights_bytes=sum(tensor.size_bytes for tensor in tensors),
            read_bytes=sum(tensor.read_bytes for tensor in tensors),
            cache_bytes_per_token=cached * float_bytes(preset),
            context_tokens=architecture.context_tokens,
        )


def _multiplied(shape: tuple[int, ...], weights: Weights, float_size: int) -> Held:
    """A tensor that each step reads whole."""
    size = _bytes(shape, weights, float_size, zero_points=not weights.symmetric)
    return Held(math.prod(shape), size, size)


def _looked_up(shape: tuple[int, ...], weights: Weights, float_size: int, *, rows: int) -> Held:
    """A table of which each step reads some rows. The operator that looks rows up takes no zero points from us."""
    size = _bytes(shape, weights, float_size, zero_points=False)
    return Held(math.prod(shape), size, size // shape[0] * min(rows, shape[0]))


def _bytes(shape: tuple[int, ...], weights: Weights, float_size: int, *, zero_points: bool) -> int:
    if weights.is_float:
        return math.prod(shape) * float_size
    rows, columns = shape
    block = columns if weights.block == WHOLE_ROW else weights.block
    blocks = -(-columns // block)
    elements = blocks * block * weights.bits // _BYTE_BITS
    zeros = -(-blocks * weights.bits // _BYTE_BITS) if zero_points else 0
    return rows * (elements + blocks * float_size + zeros)
