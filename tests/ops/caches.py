"""A slot cache, and steps of SlotAttention and of ONNX Runtime's GroupQueryAttention on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tests.ops.reference import Floats
from tests.ops.sessions import Node, session

INPUTS = ["query", "key", "value", "past_key", "past_value", "seqlens_k", "cos", "sin"]
OUTPUTS = ["context", "present_key", "present_value"]


@dataclass(frozen=True)
class Heads:
    """The sizes of an attention."""

    heads: int
    groups: int
    dim: int
    capacity: int = 256

    @property
    def scale(self) -> float:
        """Of the scores."""
        return float(self.dim**-0.5)

    @property
    def width(self) -> int:
        """Of query, key and value together."""
        return (self.heads + 2 * self.groups) * self.dim

    def angles(self) -> tuple[Floats, Floats]:
        """Cosines and sines, [capacity, dim / 2]."""
        angles = np.outer(np.arange(self.capacity), 10000 ** (-np.arange(self.dim // 2) / (self.dim // 2)))
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def rows(self, batch: int, count: int, seed: int = 1) -> Floats:
        """Random rows of query, key and value together."""
        return np.random.default_rng(seed).standard_normal((batch, count, self.width)).astype(np.float32)

    def node(self, *, packed: bool = True) -> Node:
        """SlotAttention."""
        cos, sin = self.angles()
        inputs = [name if not packed or name not in ("key", "value") else "" for name in INPUTS]
        attributes = {"num_heads": self.heads, "kv_num_heads": self.groups, "scale": self.scale}
        return Node("SlotAttention", inputs, OUTPUTS, attributes, {"cos": cos, "sin": sin})

    def grouped_query_node(self) -> Node:
        """ONNX Runtime's own operator."""
        cos, sin = self.angles()
        inputs = ["query", "", "", "past_key", "past_value", "seqlens_k", "total_sequence_length", "cos", "sin"]
        attributes = {"num_heads": self.heads, "kv_num_heads": self.groups, "scale": self.scale, "do_rotary": 1}
        return Node(
            "GroupQueryAttention", inputs, OUTPUTS, attributes, {"cos": cos, "sin": sin}, domain="com.microsoft"
        )


@dataclass
class Cache:
    """The keys and values of some slots, and a session that steps on them."""

    heads: Heads
    batch: int
    made: ort.InferenceSession
    keys: ort.OrtValue = field(init=False)
    values: ort.OrtValue = field(init=False)
    fill: float = 0

    def __post_init__(self) -> None:
        shape = (self.batch, self.heads.groups, self.heads.capacity, self.heads.dim)
        self.keys, self.values = (
            ort.OrtValue.ortvalue_from_numpy(np.full(shape, self.fill, np.float32)) for _ in range(2)
        )

    def step(self, rows: Floats, lasts: Sequence[int]) -> Floats:
        """The context of the rows [batch, count, width]; `lasts` has the position of each sequence's last row."""
        feeds = {"query": rows, "seqlens_k": np.array(lasts, np.int32)}
        if "total_sequence_length" in [given.name for given in self.made.get_inputs()]:
            feeds["total_sequence_length"] = np.array(max(lasts) + 1, np.int32)
        binding = self.made.io_binding()
        for name, feed in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(feed))
        for name, memory in (("key", self.keys), ("value", self.values)):
            binding.bind_ortvalue_input(f"past_{name}", memory)
            binding.bind_ortvalue_output(f"present_{name}", memory)
        binding.bind_output("context")
        self.made.run_with_iobinding(binding)
        context: NDArray[np.float32] = binding.get_outputs()[2].numpy()
        return context

    def copy_slot(self, slot: int, other: Cache, from_slot: int) -> None:
        """Overwrite a slot with one of another cache."""
        for mine, theirs in ((self.keys, other.keys), (self.values, other.values)):
            array = mine.numpy()
            array[slot] = theirs.numpy()[from_slot]
            mine.update_inplace(array)


def cache(heads: Heads, batch: int, library: str, *, threads: int = 1, fill: float = 0) -> Cache:
    """Slots for SlotAttention."""
    return Cache(heads, batch, _session(heads.node(), heads, library, threads), fill=fill)


def grouped_query_cache(heads: Heads, batch: int) -> Cache:
    """Slots for ONNX Runtime's own operator."""
    return Cache(heads, batch, _session(heads.grouped_query_node(), heads, None, 1))


def _session(node: Node, heads: Heads, library: str | None, threads: int) -> ort.InferenceSession:
    past = np.zeros((1, heads.groups, heads.capacity, heads.dim), np.float32)
    feeds = {"query": heads.rows(1, 1), "past_key": past, "past_value": past, "seqlens_k": np.zeros(1, np.int32)}
    feeds["total_sequence_length"] = np.array(1, np.int32)
    return session(node, feeds, library, threads=threads)
