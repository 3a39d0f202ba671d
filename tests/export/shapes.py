"""A checkpoint that has shapes and no weights, for models too large for a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.architecture import Architecture


class Shapes:
    """The tensors of an architecture as Hugging Face's checkpoints name and shape them."""

    config: Mapping[str, Any] = {}
    files: Mapping[str, Path] = {}
    metadata: Mapping[str, Any] = {}

    def __init__(self, architecture: Architecture) -> None:
        hidden = architecture.hidden
        self._shapes: dict[str, tuple[int, ...]] = {
            architecture.embedding: (architecture.vocabulary, hidden),
            architecture.head: (architecture.vocabulary, hidden),
            architecture.final_norm: (hidden,),
        }
        for layer in architecture.layers:
            attention, inner = layer.attention, layer.feed_forward.inner
            widths = {"q": attention.query_width, "k": attention.kv_width, "v": attention.kv_width}
            shapes: dict[str, tuple[int, ...]] = {
                "input_layernorm.weight": (hidden,),
                "post_attention_layernorm.weight": (hidden,),
                "self_attn.o_proj.weight": (hidden, attention.query_width),
                "mlp.gate_proj.weight": (inner, hidden),
                "mlp.up_proj.weight": (inner, hidden),
                "mlp.down_proj.weight": (hidden, inner),
            }
            shapes |= {f"self_attn.{part}_proj.weight": (width, hidden) for part, width in widths.items()}
            if attention.qkv_bias:
                shapes |= {f"self_attn.{part}_proj.bias": (width,) for part, width in widths.items()}
            if attention.qk_norm:
                shapes |= {f"self_attn.{part}_norm.weight": (attention.head_dim,) for part in "qk"}
            self._shapes |= {f"{layer.prefix}.{name}": shape for name, shape in shapes.items()}

    def names(self) -> Sequence[str]:
        return sorted(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def source_type(self, name: str) -> str:
        raise NotImplementedError(name)

    def read(self, name: str) -> npt.NDArray[np.float32]:
        raise NotImplementedError(name)

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        raise NotImplementedError(name)
