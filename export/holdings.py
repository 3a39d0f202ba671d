"""Computes from shapes the bytes of a graph's weights, and how many of them a decoding step reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from export.architecture import Architecture
from export.checkpoint import Checkpoint
from export.presets import FLOAT, FLOAT32, WHOLE_ROW, Preset, Weights

_BYTE_BITS = 8
_MATRIX = 2
_QKV = (".q_proj.", ".k_proj.", ".v_proj.")


def float_bytes(preset: Preset) -> int:
    """Bytes per activation, scale or element of the cache."""
    return 4 if preset.activations == FLOAT32 else 2


@dataclass(frozen=True)
class Held:
    """One tensor in one format, as stored in the graph.

    Attributes:
        elements: number of elements.
        size_bytes: bytes including scales and zero points; elements of 6 and 5 bits have 8.
        read_bytes: bytes that a decoding step reads, for any number of sequences, with operators for all bits.
    """

    elements: int
    size_bytes: int
    read_bytes: int


def held(checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> Iterator[Held]:
    """Yield every weight of the graph in every format that is stored, including the rotary tables."""
    size = float_bytes(preset)
    for name, shape in architecture.tensors():
        if len(shape) < _MATRIX:
            yield _multiplied(shape, FLOAT, size)
        elif name == architecture.embedding:
            if not (architecture.tied_embeddings and preset.shares_tied_table):
                yield _looked_up(shape, preset.embedding, size, rows=1)
        elif name != architecture.head:
            kept = preset.kept_weights([checkpoint.source_type(each) for each in _multiplied_together(name)])
            yield _multiplied(shape, kept or preset.weights(name, architecture.depth(name)), size)
    # Tied or not: the embedding's table and the head's matrix are stored separately, each in its own format, unless
    # one table serves as both.
    head = checkpoint.shape(architecture.head)
    yield _multiplied(head, preset.head, size)
    finer = preset.rescoring
    if finer and not (architecture.tied_embeddings and finer.weights == preset.embedding):
        # The rows for rescoring; with tied embeddings and equal formats, the embedding's own rows are used.
        yield _looked_up(head, finer.weights, size, rows=finer.tokens)
    for _, width in sorted({(layer.attention.rotary.name, layer.attention.head_dim) for layer in architecture.layers}):
        # Cosines of half the width and sines of half the width.
        yield _looked_up((architecture.context_tokens, width), FLOAT, size, rows=1)


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model with a preset.

    Attributes:
        weights_bytes: all weights in the graph.
        read_bytes: weights that a decoding step reads, for any number of sequences.
        cache_bytes_per_token: key and value cache of one token over all layers.
        context_tokens: the longest prompt plus completion that the model allows.
    """

    weights_bytes: int
    read_bytes: int
    cache_bytes_per_token: int
    context_tokens: int

    @classmethod
    def of(cls, checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> Sizes:
        """Compute the sizes from the tensors' shapes."""
        tensors = list(held(checkpoint, architecture, preset))
        cached = sum(2 * layer.attention.kv_width for layer in architecture.layers)
        return cls(
            weights_bytes=sum(tensor.size_bytes for tensor in tensors),
            read_bytes=sum(tensor.read_bytes for tensor in tensors),
            cache_bytes_per_token=cached * float_bytes(preset),
            context_tokens=architecture.context_tokens,
        )


def _multiplied_together(name: str) -> list[str]:
    """The tensors that are one matrix with the tensor `name`: query, key and value; else this one."""
    for part in _QKV:
        if part in name:
            return [name.replace(part, other) for other in _QKV]
    return [name]


def _multiplied(shape: tuple[int, ...], weights: Weights, float_size: int) -> Held:
    """A tensor that each step reads completely."""
    size, read = (
        _bytes(shape, weights, bits, float_size, zero_points=not weights.symmetric)
        for bits in (weights.container_bits, weights.bits)
    )
    return Held(math.prod(shape), size, read)


def _looked_up(shape: tuple[int, ...], weights: Weights, float_size: int, *, rows: int) -> Held:
    """A table of which each step reads some rows. Its lookup operator gets no zero points."""
    size = _bytes(shape, weights, weights.container_bits, float_size, zero_points=False)
    return Held(math.prod(shape), size, size // shape[0] * min(rows, shape[0]))


def _bytes(shape: tuple[int, ...], weights: Weights, bits: int, float_size: int, *, zero_points: bool) -> int:
    if weights.is_float:
        return math.prod(shape) * float_size
    rows, columns = shape
    block = columns if weights.block == WHOLE_ROW else weights.block
    blocks = -(-columns // block)
    elements = blocks * block * bits // _BYTE_BITS
    zeros = -(-blocks * bits // _BYTE_BITS) if zero_points else 0
    return rows * (elements + blocks * float_size + zeros)
