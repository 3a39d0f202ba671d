"""The parts of the memory that serving needs, each defined once, and the memory of a GPU."""

from __future__ import annotations

from dataclasses import dataclass

# Allowance on a GPU in addition to weights and cache: CUDA's context, kernel code, working memory, logits. It equals
# the limit for the working memory of a TensorRT plan's layers.
RUNTIME_BYTES = 1 << 30
# If GPU and CPU share the memory, add one fifth of weights and cache: this covers the published peaks of AGX Orin
# (docs/prediction.md).
SHARED_PART = 5
# Allowance on boards with shared memory: for Linux without a desktop, Triton and the gateway.
SYSTEM_BYTES = 1_500_000_000
# Main memory for building a TensorRT plan, as a multiple of the weights: three to four in TensorRT-Edge-LLM issue 30;
# TensorRT-Model-Connect pull request 1085 measured 200 GB for a plan of 51 GB.
BUILD_TIMES = (3, 4)
# Memory of the engine on a CPU in addition to weights and cache: slightly above the maximum in docs/performance.md.
CPU_RUNTIME_BYTES = 600_000_000


@dataclass(frozen=True)
class MemoryNeeds:
    """The memory for serving when every slot is full, in bytes."""

    weights_bytes: int
    cache_bytes: int
    runtime_bytes: int
    system_bytes: int

    @classmethod
    def on_cpu(cls, weights_bytes: int, cache_bytes: int) -> MemoryNeeds:
        """The needs in main memory, without other programs of the machine."""
        return cls(weights_bytes, cache_bytes, CPU_RUNTIME_BYTES, 0)

    @property
    def total_bytes(self) -> int:
        """The sum of all parts."""
        return self.weights_bytes + self.cache_bytes + self.runtime_bytes + self.system_bytes


@dataclass(frozen=True)
class GpuMemory:
    """The memory of a GPU.

    Attributes:
        size_bytes: memory that may be used.
        shared: whether the CPU uses the same memory.
        system_bytes: part of the memory that the system uses in addition to the engine.
    """

    size_bytes: int
    shared: bool
    system_bytes: int

    @classmethod
    def whole(cls, size_bytes: int, *, shared: bool) -> GpuMemory:
        """All memory of a GPU or a board, used or not."""
        return cls(size_bytes, shared, SYSTEM_BYTES if shared else 0)

    @classmethod
    def free(cls, size_bytes: int, *, shared: bool) -> GpuMemory:
        """The free memory of a running system."""
        return cls(size_bytes, shared, 0)

    def needs(self, weights_bytes: int, cache_bytes: int) -> MemoryNeeds:
        """The memory that a model needs."""
        extra = -(-(weights_bytes + cache_bytes) // SHARED_PART) if self.shared else 0
        return MemoryNeeds(weights_bytes, cache_bytes, RUNTIME_BYTES + extra, self.system_bytes)

    def most_cache_bytes(self, weights_bytes: int) -> int:
        """Maximum size of a cache in addition to the weights; negative if the weights alone do not fit."""
        left = self.size_bytes - RUNTIME_BYTES - self.system_bytes
        return (left * SHARED_PART // (SHARED_PART + 1) if self.shared else left) - weights_bytes
