"""Measures a device's free memory and checks whether a model fits. `appliance.capacity` computes the fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from appliance.capacity import Fit, GpuMemory
from appliance.errors import NoSpaceError
from appliance.memory import available_bytes


class FiniteMemory(Protocol):
    """A memory of limited size."""

    def free_bytes(self) -> int:
        """Free memory in bytes, over all processes."""


def free_memory(memory: FiniteMemory, *, shared: bool) -> GpuMemory:
    """The GPU's free memory now.

    If GPU and CPU share the memory, CUDA does not count reclaimable memory as free: the kernel's page cache, which
    also holds the model's files (issue 2279 of ollama, pull request 17368 of llama.cpp).
    """
    return GpuMemory.free(available_bytes() if shared else memory.free_bytes(), shared=shared)


@dataclass(frozen=True)
class DeviceFit:
    """Check that a model fits the device's free memory before it is loaded.

    Attributes:
        fit: the model's memory compared with the free memory.
        remedy: how to make the cache smaller, as an instruction for the hint.
    """

    fit: Fit
    remedy: str = "lower max_context_tokens or slots"

    def check(self) -> None:
        """Check that the model fits.

        Raises:
            NoSpaceError: it does not fit; the message contains the calculation, and the hint contains what would fit.
        """
        self.fit.check("the model does not fit the GPU's free memory", self._what_fits())

    def refused(self, error: NoSpaceError) -> NoSpaceError:
        """The error for an allocation that failed although enough memory was free."""
        return NoSpaceError(
            f"the GPU's memory is fragmented, or another program took it ({self.fit}): {error.message}",
            hint=f"end other programs that use the GPU, or {self.remedy}",
        )

    def _what_fits(self) -> str:
        cache, context, slots = self.fit.cache, self.fit.most_context_tokens, self.fit.most_slots
        ways = [f"{cache.slots} slots of {context} tokens"] if context else []
        ways += [f"{slots} slots of {cache.context_tokens}"] if slots else []
        if not ways:
            return "not even the weights fit: end other programs that use the GPU, or export a smaller preset"
        return f"{', or '.join(ways)} would fit: {self.remedy} (the cache has up to two slots for each configured slot)"
