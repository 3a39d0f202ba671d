"""Calculates whether a model and its cache fit a GPU's memory, and which cache would fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from appliance.capacity.cache import Cache
from appliance.capacity.memory import GpuMemory, MemoryNeeds
from appliance.errors import NoSpaceError
from appliance.sizes import size


@dataclass(frozen=True)
class Fit:
    """A model, its cache and the memory of a GPU.

    Attributes:
        memory: the GPU's memory.
        weights_bytes: size of the loaded model's weights.
        cache_bytes_per_token: size of the keys and values of one token over all layers.
        cache: the model's cache.
    """

    memory: GpuMemory
    weights_bytes: int
    cache_bytes_per_token: int
    cache: Cache

    @property
    def needs(self) -> MemoryNeeds:
        """The memory that the model needs."""
        return self.memory.needs(self.weights_bytes, self.cache.size_bytes(self.cache_bytes_per_token))

    @property
    def fits(self) -> bool:
        """Whether the model fits the memory."""
        return self.needs.total_bytes <= self.memory.size_bytes

    @property
    def most_slots(self) -> int:
        """Maximum number of slots with the cache's rows per slot; 0 if no slot fits."""
        return max(0, self._most_rows // self.cache.rows - self.cache.filling_slots)

    @property
    def most_context_tokens(self) -> int:
        """Maximum context tokens with the cache's number of slots; 0 if no context fits."""
        return max(0, self._most_rows // self.cache.all_slots - self.cache.spare_rows)

    def with_cache(self, **changes: int) -> Fit:
        """The same model with another cache; `changes` are the changed attributes of Cache."""
        return replace(self, cache=replace(self.cache, **changes))

    def check(self, what: str, hint: str) -> None:
        """Check that the model fits.

        Args:
            what: the beginning of the message: "tiny does not fit NVIDIA L4".
            hint: what to do.

        Raises:
            NoSpaceError: the model does not fit; the message contains the calculation.
        """
        if not self.fits:
            raise NoSpaceError(f"{what}: {self}", hint=hint)

    def __str__(self) -> str:
        """The calculation, as text for people."""
        needs = self.needs
        parts = [
            f"{size(needs.weights_bytes)} of weights",
            f"{size(needs.cache_bytes)} of cache ({self.cache})",
            f"{size(needs.runtime_bytes)} for the runtime",
        ]
        if needs.system_bytes:
            parts.append(f"{size(needs.system_bytes)} for the system")
        return f"{' + '.join(parts)} = {size(needs.total_bytes)}, but {size(self.memory.size_bytes)} are available"

    @property
    def _most_rows(self) -> int:
        return self.memory.most_cache_bytes(self.weights_bytes) // self.cache_bytes_per_token
