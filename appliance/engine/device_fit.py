"""A model before a device's free memory: what is free is measured here, whether it fits is the calculator's rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from appliance.capacity import Fit, GpuMemory
from appliance.errors import NoSpaceError
from appliance.memory import available_bytes


class FiniteMemory(Protocol):
    """A memory that can run out."""

    def free_bytes(self) -> int:
        """How much is free, whoever holds the rest."""


def free_memory(memory: FiniteMemory, *, shared: bool) -> GpuMemory:
    """What a GPU has free now.

    Where the CPU has the same memory, CUDA leaves out what the kernel would give: pages that it keeps of files that
    were read, such as the model's own (issue 2279 of ollama, pull request 17368 of llama.cpp).
    """
    return GpuMemory.free(available_bytes() if shared else memory.free_bytes(), shared=shared)


@dataclass(frozen=True)
class DeviceFit:
    """A model that is about to be loaded.

    Attributes:
        fit: into what is free.
        remedy: what makes the cache smaller.
    """

    fit: Fit
    remedy: str = "lower max_context_tokens or slots"

    def check(self) -> None:
        """Accept what fits.

        Raises:
            NoSpaceError: it does not; the message has the arithmetic, the hint what would fit.
        """
        self.fit.check("the model does not fit the GPU's free memory", self._what_fits())

    def refused(self, error: NoSpaceError) -> NoSpaceError:
        """The error for memory that was not given although so much was free."""
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
