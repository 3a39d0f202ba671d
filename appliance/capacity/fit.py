"""Whether a model and its cache fit a GPU's memory, and what would."""

from __future__ import annotations

from dataclasses import dataclass, replace

from appliance.capacity.cache import Cache
from appliance.capacity.memory import GpuMemory, MemoryNeeds
from appliance.errors import NoSpaceError
from appliance.sizes import size


@dataclass(frozen=True)
class Fit:
    """A model that is to be served from a GPU's memory.

    Attributes:
        memory: what there is.
        weights_bytes: of the model as it is loaded.
        cache_bytes_per_token: key and value cache of one token over all layers.
        cache: its slots.
    """

    memory: GpuMemory
    weights_bytes: int
    cache_bytes_per_token: int
    cache: Cache

    @property
    def needs(self) -> MemoryNeeds:
        """What it takes."""
        return self.memory.needs(self.weights_bytes, self.cache.size_bytes(self.cache_bytes_per_token))

    @property
    def fits(self) -> bool:
        """Whether the memory holds it."""
        return self.needs.total_bytes <= self.memory.size_bytes

    @property
    def most_slots(self) -> int:
        """Slots of the cache that fit with its rows; 0 where none does."""
        return max(0, self._most_rows // self.cache.rows - self.cache.filling_slots)

    @property
    def most_context_tokens(self) -> int:
        """The longest context that fits with its slots; 0 where none does."""
        return max(0, self._most_rows // self.cache.all_slots - self.cache.spare_rows)

    def with_cache(self, **changes: int) -> Fit:
        """The same model with another cache; `changes` are those of its attributes."""
        return replace(self, cache=replace(self.cache, **changes))

    def check(self, what: str, hint: str) -> None:
        """Refuse what does not fit.

        Args:
            what: for the message, up to its verb: "tiny does not fit NVIDIA L4".
            hint: what to do.

        Raises:
            NoSpaceError: it shows the arithmetic.
        """
        if not self.fits:
            raise NoSpaceError(f"{what}: {self}", hint=hint)

    def __str__(self) -> str:
        """The arithmetic, for people."""
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
