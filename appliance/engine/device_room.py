"""Whether a model and its cache fit a device's free memory, and what would. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.artefact import ModelShape
from appliance.errors import NoSpaceError

# Set aside for what cannot be told beforehand: the context, the kernels' code, their libraries and their working
# memory for a prompt. A guess; docs/targets.md says what was measured.
RESERVE_BYTES = 1 << 30


@dataclass(frozen=True)
class DeviceRoom:
    """What a model needs of a device.

    Attributes:
        shape: of the model.
        weights_bytes: of the graph and its weights.
        slots: slots of the cache, of which there are more than sequences run: for what finished ones leave.
        capacity: tokens that a slot can hold.
        remedy: what makes the cache smaller.
        spare_rows: rows of a slot behind those of its tokens.
    """

    shape: ModelShape
    weights_bytes: int
    slots: int
    capacity: int
    remedy: str = "lower max_context_tokens or slots"
    spare_rows: int = 0

    @property
    def cache_bytes(self) -> int:
        """Bytes of keys and values."""
        return self.slots * (self.capacity + self.spare_rows) * self.shape.cache_bytes_per_token

    @property
    def needed_bytes(self) -> int:
        """Everything together."""
        return self.weights_bytes + self.cache_bytes + RESERVE_BYTES

    def check(self, free_bytes: int) -> None:
        """Compare with what is free.

        Raises:
            NoSpaceError: it does not fit; the message has the arithmetic, the hint what would fit.
        """
        if self.needed_bytes > free_bytes:
            raise NoSpaceError(
                f"the GPU has {_mb(free_bytes)} free, and {_mb(self.needed_bytes)} are needed: {self._sum()}",
                hint=self._what_fits(free_bytes),
            )

    def refused(self, error: NoSpaceError, free_bytes: int) -> NoSpaceError:
        """The error for memory that was not given: perhaps there is enough, but in no piece that is large enough."""
        if self.needed_bytes <= free_bytes:
            return NoSpaceError(
                f"the GPU's memory is fragmented: {_mb(free_bytes)} were free for the {_mb(self.needed_bytes)} needed "
                f"({self._sum()}), yet {error.message}",
                hint=f"end other programs that use the GPU, or {self.remedy}",
            )
        return NoSpaceError(f"{error.message}; needed is {self._sum()}", hint=self._what_fits(free_bytes))

    def _sum(self) -> str:
        rows = f"{self.capacity} + {self.spare_rows}" if self.spare_rows else f"{self.capacity}"
        tokens = f"{self.slots} slots of {rows} tokens at {self.shape.cache_bytes_per_token} bytes"
        return (
            f"weights {_mb(self.weights_bytes)} + cache {_mb(self.cache_bytes)} ({tokens}) + "
            f"{_mb(RESERVE_BYTES)} set aside for kernels"
        )

    def _what_fits(self, free_bytes: int) -> str:
        room = free_bytes - self.weights_bytes - RESERVE_BYTES
        tokens = room // self.shape.cache_bytes_per_token
        if tokens < self.slots * (1 + self.spare_rows):
            return "the weights do not fit: stop other programs that use the GPU, or export with a smaller preset"
        context = min(self.capacity, tokens // self.slots - self.spare_rows)
        slots = min(self.slots, tokens // (self.capacity + self.spare_rows))
        other = f", or {slots} slots of {self.capacity}" if slots else ""
        doubled = "the cache has up to two slots for each configured slot"
        return f"{self.slots} slots of {context} tokens would fit{other}: {self.remedy} ({doubled})"


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
