"""Records which sequence's keys and values are in which slot. The table lists the moves; the runner makes them.

Decoding sequences are always in the first slots, because one launch of the graph uses the first n slots as its batch.
The other slots hold sequences in prefill, finished sequences (cached prefixes), or nothing. When a decoding sequence
ends, the last decoding sequence moves to its slot: copying its rows costs less than one step with an idle row in the
batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.engine.prefix_cache import find_shared_prefix
from appliance.engine.sequence import Sequence, Status

MUCH_SLACK_ROWS = 512


@dataclass(frozen=True)
class Copy:
    """Copy the first `rows` rows of slot `source` to slot `target`."""

    source: int
    target: int
    rows: int


@dataclass(frozen=True)
class Swap:
    """Exchange the content of two slots: `first_rows` rows of slot `first`, `second_rows` rows of slot `second`."""

    first: int
    first_rows: int
    second: int
    second_rows: int


@dataclass(frozen=True)
class Release:
    """Free the memory of all rows of `slot` from `keep_rows`."""

    slot: int
    keep_rows: int


CacheOperation = Copy | Swap | Release


class SlotTable:
    """Slots, their contents, and the budget of rows whose memory is in use.

    Attributes:
        decoding: number of decoding sequences; they are in the first slots.
    """

    def __init__(self, count: int, budget_rows: int, *, share_prefixes: bool, share_completions: bool = False) -> None:
        self.decoding = 0
        self._operations: list[CacheOperation] = []
        self._held: list[Sequence | None] = [None] * count
        self._touched = [0] * count
        self._budget_rows = budget_rows
        self._share_prefixes = share_prefixes
        self._share_completions = share_completions
        self._ticks = 0

    @property
    def used_rows(self) -> int:
        """Number of rows whose memory is in use, over all slots."""
        return sum(self._touched)

    @property
    def held(self) -> tuple[Sequence | None, ...]:
        """The sequence in each slot; None for an empty slot."""
        return tuple(self._held)

    def take_operations(self) -> list[CacheOperation]:
        """Remove and return the operations that the runner must run, in order, before the next step."""
        operations, self._operations = self._operations, []
        return operations

    def place(self, sequence: Sequence) -> int:
        """Give a sequence a slot that contains its longest cached prefix; return the slot.

        If the sequence uses at least half of a finished sequence's rows, it takes over that slot. Otherwise, the rows
        are copied.
        """
        candidates = [held for held in self._held if held is not None] if self._share_prefixes else []
        shared = find_shared_prefix(sequence, candidates, with_completions=self._share_completions)
        rows = shared.rows if shared else 0
        donor = shared.donor if shared else None
        if donor is not None and donor.status is Status.FINISHED and 2 * rows >= donor.rows:
            target = _slot_of(donor)
        else:
            target = self._free_slot(donor)
            if donor is not None and donor.slot != target:
                donor.last_used = self._tick()
                self._operations.append(Copy(_slot_of(donor), target, rows))
        self._drop(target)
        self._held[target] = sequence
        self._touched[target] = max(self._touched[target], rows)
        sequence.slot, sequence.rows, sequence.reserved_rows = target, rows, rows
        self._settle()
        return target

    def reserve(self, sequence: Sequence, rows: int) -> bool:
        """Reserve `rows` rows in a running sequence's slot. Evict cached prefixes if necessary.

        Returns whether the rows fit beside the other running sequences.
        """
        slot = _slot_of(sequence)
        if self.used_rows + max(0, rows - self._touched[slot]) > self._budget_rows:
            self._release_slack(1)
        while self.used_rows + max(0, rows - self._touched[slot]) > self._budget_rows:
            if not self._evict():
                return False
        self._touched[slot] = max(self._touched[slot], rows)
        sequence.reserved_rows = max(sequence.reserved_rows, rows)
        return True

    def start_decoding(self, sequence: Sequence) -> None:
        """Move a sequence to the slot after the decoding sequences, and count it as decoding."""
        slot = _slot_of(sequence)
        if slot != self.decoding:
            self._bring(slot, self.decoding)
        self.decoding += 1
        self._settle()

    def stop(self, sequence: Sequence, *, keep: bool) -> None:
        """End a sequence. If `keep`, its rows stay as a cached prefix; those of the completion only if shareable."""
        slot = sequence.slot
        if slot is None:
            return
        if keep:
            sequence.last_used = self._tick()
            if not self._share_completions:
                sequence.rows = min(sequence.rows, sequence.prompt_tokens)
            sequence.reserved_rows = sequence.rows
        else:
            self._drop(slot)
            sequence.rows = sequence.reserved_rows = 0
        if slot < self.decoding:
            self.decoding -= 1
            if slot != self.decoding:
                self._bring(self.decoding, slot)
        self._settle()

    def _bring(self, source: int, target: int) -> None:
        """Move the sequence in `source` to `target`, and a sequence in `target` to `source`.

        All reserved rows move: the last rows may be computed although the sequence does not count them yet.
        """
        mover, other = self._held[source], self._held[target]
        mover_rows = mover.reserved_rows if mover else 0
        if other is None:
            self._operations.append(Copy(source, target, mover_rows))
        else:
            self._operations.append(Swap(source, mover_rows, target, other.reserved_rows))
            self._touched[source] = max(self._touched[source], other.reserved_rows)
            other.slot = source
        self._held[source], self._held[target] = other, mover
        if mover is not None:
            self._touched[target] = max(self._touched[target], mover.reserved_rows)
            mover.slot = target

    def _free_slot(self, donor: Sequence | None) -> int:
        """An empty slot, else that of the least recently used cached prefix; the donor's slot only as a last resort."""
        for slot in range(self.decoding, len(self._held)):
            if self._held[slot] is None:
                return slot
        return _slot_of(min(self._cached(), key=lambda cached: (cached is donor, cached.last_used)))

    def _cached(self) -> list[Sequence]:
        return [held for held in self._held if held is not None and held.status is Status.FINISHED]

    def _evict(self) -> bool:
        """Drop the least recently used cached prefix. Return False if there is none."""
        oldest = min(self._cached(), key=lambda cached: cached.last_used, default=None)
        if oldest is None:
            return False
        slot = _slot_of(oldest)
        self._drop(slot)
        self._release(slot, 0)
        return True

    def _drop(self, slot: int) -> None:
        held = self._held[slot]
        if held is not None:
            held.slot = None
            self._held[slot] = None

    def _settle(self) -> None:
        """Free the memory that moves left in their source slots, if it is large or exceeds the budget."""
        self._release_slack(MUCH_SLACK_ROWS)
        if self.used_rows > self._budget_rows:
            self._release_slack(1)
        while self.used_rows > self._budget_rows and self._evict():
            pass

    def _release_slack(self, least_rows: int) -> None:
        for slot, held in enumerate(self._held):
            keep_rows = held.reserved_rows if held else 0
            if self._touched[slot] - keep_rows >= least_rows:
                self._release(slot, keep_rows)

    def _release(self, slot: int, keep_rows: int) -> None:
        self._touched[slot] = keep_rows
        self._operations.append(Release(slot, keep_rows))

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks


def _slot_of(sequence: Sequence) -> int:
    """The slot of a sequence that has one."""
    if sequence.slot is None:
        raise LookupError(f"sequence {sequence.order} has no slot")
    return sequence.slot
