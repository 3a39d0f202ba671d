"""A checkpoint of any architecture with random weights. Each is generated when it is read, without a file or cache."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from appliance.errors import UnsupportedError
from export.architecture import Architecture, Layer, describe

# Small enough that the values of many random layers stay within the range of 16-bit floats.
_SPREAD = np.float32(0.02)


class RandomCheckpoint:
    """Random weights by name, equal at each reading. See `export.checkpoint.Checkpoint`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Take a configuration with Hugging Face's keys."""
        self.config = config
        self.files: Mapping[str, Path] = {}
        self.metadata: Mapping[str, Any] = {}
        self._shapes = dict(_shapes(describe(config)))

    def names(self) -> Sequence[str]:
        """See `Checkpoint`."""
        return sorted(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """See `Checkpoint`."""
        if name not in self._shapes:
            raise UnsupportedError(f"the checkpoint has no tensor {name!r}")
        return self._shapes[name]

    def source_type(self, name: str) -> str:
        """See `Checkpoint`."""
        self.shape(name)
        return "BF16"

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """See `Checkpoint`."""
        shape = self.shape(name)
        if name.endswith("norm.weight"):
            return np.ones(shape, np.float32)
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        values: npt.NDArray[np.float32] = generator.standard_normal(shape, np.float32)
        values *= _SPREAD
        return values

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """See `Checkpoint`."""
        raise UnsupportedError(f"the tensor {name!r} is not held in quantised blocks")


def _shapes(architecture: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield architecture.embedding, (architecture.vocabulary, architecture.hidden)
    yield architecture.final_norm, (architecture.hidden,)
    if not architecture.tied_embeddings:
        yield architecture.head, (architecture.vocabulary, architecture.hidden)
    for layer in architecture.layers:
        yield from _layer_shapes(layer, architecture.hidden)


def _layer_shapes(layer: Layer, hidden: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    attention, inner = layer.attention, layer.feed_forward.inner
    for norm in ("input_layernorm", "post_attention_layernorm"):
        yield f"{layer.prefix}.{norm}.weight", (hidden,)
    widths = {"q": attention.query_width, "k": attention.kv_width, "v": attention.kv_width}
    for part, width in widths.items():
        yield f"{layer.prefix}.self_attn.{part}_proj.weight", (width, hidden)
        if attention.qkv_bias:
            yield f"{layer.prefix}.self_attn.{part}_proj.bias", (width,)
    if attention.qk_norm:
        for part in ("q", "k"):
            yield f"{layer.prefix}.self_attn.{part}_norm.weight", (attention.head_dim,)
    yield f"{layer.prefix}.self_attn.o_proj.weight", (hidden, attention.query_width)
    for part in ("gate", "up"):
        yield f"{layer.prefix}.mlp.{part}_proj.weight", (inner, hidden)
    yield f"{layer.prefix}.mlp.down_proj.weight", (hidden, inner)
