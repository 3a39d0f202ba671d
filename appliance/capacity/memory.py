"""The parts of memory that serving takes, each defined once, and the memory of a GPU that must hold them."""

from __future__ import annotations

from dataclasses import dataclass

# On a GPU beside weights and cache: CUDA's context, the kernels' code, working memory, logits. An allowance. It is as
# much as a TensorRT plan's layers may have for their working memory.
RUNTIME_BYTES = 1 << 30
# Where the CPU has the same memory, one part in five of weights and cache more: so the peaks that were published for
# AGX Orin are covered (docs/prediction.md).
SHARED_PART = 5
# An allowance on boards with shared memory for Linux without a desktop, Triton and the gateway.
SYSTEM_BYTES = 1_500_000_000
# Main memory that building a TensorRT plan takes, in times the weights: TensorRT-Edge-LLM issue 30 says three to four,
# TensorRT-Model-Connect pull request 1085 measured 200 GB for a plan of 51 GB.
BUILD_TIMES = (3, 4)
# The engine on a CPU beside weights and cache: a little more than the most in docs/performance.md.
CPU_RUNTIME_BYTES = 600_000_000


@dataclass(frozen=True)
class MemoryNeeds:
    """What serving takes when every slot is full, in bytes."""

    weights_bytes: int
    cache_bytes: int
    runtime_bytes: int
    system_bytes: int

    @classmethod
    def on_cpu(cls, weights_bytes: int, cache_bytes: int) -> MemoryNeeds:
        """In main memory, beside whatever else the machine does."""
        return cls(weights_bytes, cache_bytes, CPU_RUNTIME_BYTES, 0)

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.cache_bytes + self.runtime_bytes + self.system_bytes


@dataclass(frozen=True)
class GpuMemory:
    """The memory that a GPU computes in.

    Attributes:
        size_bytes: how much may be taken.
        shared: the CPU uses the same.
        system_bytes: what of it the system takes beside the engine.
    """

    size_bytes: int
    shared: bool
    system_bytes: int

    @classmethod
    def whole(cls, size_bytes: int, *, shared: bool) -> GpuMemory:
        """All memory of a GPU or a board, whatever is in use now."""
        return cls(size_bytes, shared, SYSTEM_BYTES if shared else 0)

    @classmethod
    def free(cls, size_bytes: int, *, shared: bool) -> GpuMemory:
        """What is free while the system runs."""
        return cls(size_bytes, shared, 0)

    def needs(self, weights_bytes: int, cache_bytes: int) -> MemoryNeeds:
        """What a model takes of it."""
        extra = -(-(weights_bytes + cache_bytes) // SHARED_PART) if self.shared else 0
        return MemoryNeeds(weights_bytes, cache_bytes, RUNTIME_BYTES + extra, self.system_bytes)

    def most_cache_bytes(self, weights_bytes: int) -> int:
        """The most that a cache may take beside weights; less than nothing where these do not fit themselves."""
        left = self.size_bytes - RUNTIME_BYTES - self.system_bytes
        return (left * SHARED_PART // (SHARED_PART + 1) if self.shared else left) - weights_bytes
