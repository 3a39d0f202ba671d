"""Which sequences run in the next step. Rules without I/O: no clock, no tensors, no thread; the caller passes `now`.

- At most `max_running` sequences run. Waiting ones are admitted in the order of the fair queue and never overtake.
- The caller may allow fewer for a while, as on a hot board. Then none is admitted beyond; those that run go on.
- A prompt is computed in chunks. While others decode, prefill and decode steps alternate, so a long prompt delays
  running streams by one small chunk at a time; and chunks go in turn to the oldest and to the shortest prompt, so a
  long prompt does not hold up a short one, nor short ones starve it.
- Memory is promised late: a sequence is admitted when what runs, with some headroom, fits the budget, and the youngest
  running sequence is set back (computed again later, its text is not repeated) when the others outgrow it. Setting
  max_tokens aside at admission instead would let a few clients that ask for "as many as fit" block everybody. The
  oldest sequence is never set back and always fits, so every sequence ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.capacity import cache_slots
from appliance.engine.exactness import chunk_rows
from appliance.engine.fair_queue import FairQueue
from appliance.engine.sequence import Sequence, Status
from appliance.engine.slots import SlotTable

HEADROOM_ROWS = 64


@dataclass(frozen=True)
class Prefill:
    """Compute `length` more rows of one sequence, in its slot, beginning at its row `start`."""

    sequence: Sequence
    slot: int
    start: int
    length: int

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """All sequences of the step."""
        return (self.sequence,)


@dataclass(frozen=True)
class Decode:
    """Compute one more row of each sequence; the i-th sequence is in slot i."""

    sequences: tuple[Sequence, ...]


Step = Prefill | Decode


@dataclass(frozen=True)
class SchedulerLimits:
    """What the scheduler keeps to; see EngineConfig for the meaning of the chunks.

    Attributes:
        max_running: sequences that run at the same time.
        budget_rows: rows of cache over all slots; at least one sequence of full length fits.
        prefill_chunk: rows of a prefill step while nothing decodes.
        interleaved_chunk: rows of prefill between two decode steps.
        keep_prefixes: whether a finished sequence's rows stay in its slot, and prompts share rows.
    """

    max_running: int
    budget_rows: int
    prefill_chunk: int
    interleaved_chunk: int
    keep_prefixes: bool

    @property
    def slots(self) -> int:
        """Slots of the cache. Untouched ones cost no main memory."""
        return cache_slots(self.max_running, keeps_prefixes=self.keep_prefixes)


class Scheduler:
    """Holds all live sequences and plans one step at a time.

    Attributes:
        slots: see SlotTable; its operations are to be carried out before the step.
        preemptions: how often a sequence was set back.
    """

    def __init__(self, limits: SchedulerLimits) -> None:
        self.limits = limits
        self.slots = SlotTable(limits.slots, limits.budget_rows, share_prefixes=limits.keep_prefixes)
        self.preemptions = 0
        self._queue = FairQueue()
        self._running: list[Sequence] = []
        self._chunk_left = 0
        self._oldest_next = True

    @property
    def queue_length(self) -> int:
        """Sequences that wait."""
        return len(self._queue)

    @property
    def running(self) -> tuple[Sequence, ...]:
        """Sequences that run, in the order of their admission."""
        return tuple(self._running)

    @property
    def live(self) -> tuple[Sequence, ...]:
        """Sequences that run or wait."""
        return (*self._running, *self._queue)

    def add(self, sequence: Sequence) -> None:
        """Queue a new sequence."""
        self._queue.push(sequence)

    def finish(self, sequence: Sequence, *, keep: bool = True) -> None:
        """Take a sequence out, wherever it is. Its rows stay for later prompts if `keep` and they are sound."""
        if sequence.status is Status.WAITING:
            self._queue.remove(sequence)
        else:
            self._running.remove(sequence)
        sequence.status = Status.FINISHED
        self.slots.stop(sequence, keep=keep and self.limits.keep_prefixes and sequence.rows > 0)

    def schedule(self, now: float, allowed: int) -> Step | None:
        """Admit what fits and return the next step, or None if nothing runs.

        Args:
            now: seconds of the caller's clock.
            allowed: sequences that may run now; one may always, and never more than `max_running`.
        """
        self._admit(now, min(max(allowed, 1), self.limits.max_running))
        while any(sequence.status is not Status.HELD for sequence in self._running):
            step = self._plan()
            if step is not None:
                return step
        return None

    def advance(self, step: Step) -> None:
        """The step was carried out: its rows hold keys and values now."""
        if isinstance(step, Prefill):
            step.sequence.rows = step.start + step.length
            if step.sequence.missing_prompt_rows == 0:
                step.sequence.status = Status.DECODE
            self._chunk_left -= step.length
        else:
            for sequence in step.sequences:
                sequence.rows += 1
            self._chunk_left = self.limits.interleaved_chunk

    def hold(self, step: Step, sequence: Sequence) -> None:
        """A sequence of a step that was carried out got no next token: its grammar has not answered yet.

        In a batch it stays where it is, and its last row is computed again with each step, to the same numbers.
        Taking its slot out of the batch and in again would copy all its rows.
        """
        if isinstance(step, Prefill):
            sequence.status = Status.HELD
        else:
            sequence.rows -= 1

    def resume(self, sequence: Sequence) -> None:
        """A sequence that was held gets its token now. One that was set back meanwhile is computed again anyway."""
        if sequence.status is Status.HELD:
            sequence.status = Status.DECODE
        elif sequence.status is Status.DECODE:
            sequence.rows += 1

    def _admit(self, now: float, allowed: int) -> None:
        while len(self._running) < allowed:
            sequence = self._queue.peek()
            if sequence is None or not self._fits(sequence):
                return
            self._running.append(self._queue.pop())
            sequence.admit(now)

    def _fits(self, sequence: Sequence) -> bool:
        wanted = sum(_wanted_rows(running) for running in (*self._running, sequence))
        return not self._running or wanted <= self.limits.budget_rows

    def _plan(self) -> Step | None:
        """Plan a step; None when a sequence was set back instead, so that another plan is needed."""
        waiting = [s for s in self._running if s.status is Status.PREFILL]
        decoding = any(s.status is Status.DECODE for s in self._running)
        if not waiting or (decoding and self._chunk_left <= 0):
            return self._plan_decode()
        sequence = self._choose(waiting)
        slot = self._place(sequence) if sequence.slot is None else sequence.slot
        if decoding and sequence.missing_prompt_rows > self._chunk_left < self.limits.interleaved_chunk:
            return self._plan_decode()
        limit = self.limits.interleaved_chunk if decoding else self.limits.prefill_chunk
        length = chunk_rows(sequence.missing_prompt_rows, limit)
        if not self._make_room(sequence, sequence.rows + length):
            return None
        self._oldest_next = not self._oldest_next
        return Prefill(sequence, slot, sequence.rows, length)

    def _choose(self, waiting: list[Sequence]) -> Sequence:
        if self._oldest_next:
            return waiting[0]
        return min(waiting, key=lambda sequence: sequence.missing_prompt_rows)

    def _place(self, sequence: Sequence) -> int:
        slot = self.slots.place(sequence)
        if sequence.cached_tokens is None:
            sequence.cached_tokens = sequence.rows
        return slot

    def _plan_decode(self) -> Step | None:
        for sequence in [s for s in self._running if s.status is Status.DECODE]:
            if not self._make_room(sequence, sequence.rows + 1):
                return None
        decoding = [s for s in self._running if s.status is Status.DECODE]
        for sequence in decoding:
            if sequence.slot is not None and sequence.slot >= self.slots.decoding:
                self.slots.start_decoding(sequence)
        held = self.slots.held[: self.slots.decoding]
        return Decode(tuple(sequence for sequence in held if sequence is not None))

    def _make_room(self, sequence: Sequence, rows: int) -> bool:
        """Set rows aside for `sequence`. Returns False if a sequence had to be set back for it."""
        if self.slots.reserve(sequence, rows):
            return True
        self._set_back(max(self._running, key=lambda running: running.order))
        return False

    def _set_back(self, sequence: Sequence) -> None:
        self._running.remove(sequence)
        self.slots.stop(sequence, keep=False)
        sequence.status = Status.WAITING
        self._queue.push_back(sequence)
        self.preemptions += 1


def _wanted_rows(sequence: Sequence) -> int:
    """Rows that a running sequence will have soon."""
    return min(len(sequence.tokens) + HEADROOM_ROWS, sequence.limit_rows)
