"""Decides which sequences run in the next step. Rules without I/O, clock, tensors or threads; the caller passes `now`.

- At most `max_running` sequences run. Waiting sequences are admitted strictly in the order of the fair queue.
- The caller may allow fewer sequences for a while, for example on a hot board. Then no further sequence is admitted,
  and running sequences continue.
- A prompt is computed in chunks. While other sequences decode, prefill and decode steps alternate, so a long prompt
  delays running streams by one small chunk at a time. Chunks go alternately to the oldest and the shortest prompt, so
  a long prompt does not delay a short prompt much, and short prompts do not starve a long prompt.
- Memory is reserved late. A sequence is admitted if it and the running sequences, with some headroom, fit the budget.
  If the running sequences outgrow the budget, the youngest is preempted: it is computed again later, and its text is
  not sent twice. Reserving max_tokens at admission instead would let a few clients with a large max_tokens block all
  others. The oldest sequence is never preempted and always fits, so every sequence ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.capacity import cache_slots
from appliance.engine.drafts import verified_length
from appliance.engine.exactness import chunk_rows, longest_chunk
from appliance.engine.fair_queue import FairQueue
from appliance.engine.runner import MAX_SCORED_ROWS
from appliance.engine.sequence import Sequence, Status
from appliance.engine.slots import SlotTable

HEADROOM_ROWS = 64


@dataclass(frozen=True)
class Prefill:
    """Compute `length` more rows of one sequence in its slot, starting at row `start`.

    Attributes:
        is_scored: read the logits of all rows; then there are at most MAX_SCORED_ROWS rows.
    """

    sequence: Sequence
    slot: int
    start: int
    length: int
    is_scored: bool = False

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """All sequences of the step."""
        return (self.sequence,)


@dataclass(frozen=True)
class Decode:
    """Compute one more row of each sequence, and the rows of its draft; the i-th sequence is in slot i.

    Attributes:
        sequences: all sequences of the step.
        drafts: a draft for each sequence, possibly empty.
    """

    sequences: tuple[Sequence, ...]
    drafts: tuple[tuple[int, ...], ...]


Step = Prefill | Decode


@dataclass(frozen=True)
class SchedulerLimits:
    """The scheduler's limits; see EngineConfig for the meaning of the chunks.

    Attributes:
        max_running: maximum number of sequences that run at the same time.
        budget_rows: cache rows over all slots; at least one sequence of full length fits.
        prefill_chunk: rows of a prefill step while no sequence decodes.
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
        """Number of slots of the cache. An unused slot takes no main memory."""
        return cache_slots(self.max_running, keeps_prefixes=self.keep_prefixes)


class Scheduler:
    """Holds all live sequences and plans one step at a time.

    Attributes:
        slots: see SlotTable; the caller must run its operations before the step.
        preemptions: number of preemptions.
    """

    def __init__(self, limits: SchedulerLimits, *, share_completions: bool = False) -> None:
        """Start without sequences. `share_completions`: see `find_shared_prefix`."""
        self.limits = limits
        self.slots = SlotTable(
            limits.slots,
            limits.budget_rows,
            share_prefixes=limits.keep_prefixes,
            share_completions=share_completions,
        )
        self.preemptions = 0
        self._queue = FairQueue()
        self._running: list[Sequence] = []
        self._chunk_left = 0
        self._oldest_next = True

    @property
    def queue_length(self) -> int:
        """Number of sequences that wait."""
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
        """Remove a running or waiting sequence. If `keep`, its rows stay in the slot for later prompts."""
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
            allowed: sequences that may run now, limited to 1 to `max_running`.
        """
        self._admit(now, min(max(allowed, 1), self.limits.max_running))
        while any(sequence.status is not Status.HELD for sequence in self._running):
            step = self._plan()
            if step is not None:
                return step
        return None

    def advance(self, step: Step) -> None:
        """Record that a step was run: its rows now have keys and values."""
        if isinstance(step, Prefill):
            step.sequence.rows = step.start + step.length
            if step.sequence.missing_prompt_rows == 0:
                step.sequence.status = Status.DECODE
            self._chunk_left -= step.length
        else:
            for sequence in step.sequences:
                sequence.rows += 1
            self._chunk_left = self.limits.interleaved_chunk

    def accept_draft(self, sequence: Sequence) -> None:
        """Record that the next token of a draft is the chosen token, so that its row is part of the sequence."""
        sequence.rows += 1

    def hold(self, step: Step, sequence: Sequence) -> None:
        """Record that a sequence of a finished step has no next token yet: its grammar has not answered.

        A decoding sequence stays in the batch, and each step computes its last row again with the same result.
        Removing its slot from the batch and adding it again would copy all its rows.
        """
        if isinstance(step, Prefill):
            sequence.status = Status.HELD
        else:
            sequence.rows -= 1

    def resume(self, sequence: Sequence) -> None:
        """Continue a held sequence whose token is certain now. A sequence that was preempted meanwhile is unchanged."""
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
        """Plan a step. Return None if a sequence was preempted instead; then plan again."""
        waiting = [s for s in self._running if s.status is Status.PREFILL]
        decoding = any(s.status is Status.DECODE for s in self._running)
        if not waiting or (decoding and self._chunk_left <= 0):
            return self._plan_decode()
        sequence = self._choose(waiting)
        slot = self._place(sequence) if sequence.slot is None else sequence.slot
        if decoding and sequence.missing_prompt_rows > self._chunk_left < self.limits.interleaved_chunk:
            return self._plan_decode()
        limit = self.limits.interleaved_chunk if decoding else self.limits.prefill_chunk
        if sequence.awaits_score:
            limit = min(limit, longest_chunk(MAX_SCORED_ROWS))
        length = chunk_rows(sequence.missing_prompt_rows, limit)
        if not self._make_room(sequence, sequence.rows + length):
            return None
        self._oldest_next = not self._oldest_next
        return Prefill(sequence, slot, sequence.rows, length, sequence.awaits_score)

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
        sequences = tuple(sequence for sequence in held if sequence is not None)
        return Decode(sequences, self._drafts(sequences))

    def _drafts(self, sequences: tuple[Sequence, ...]) -> tuple[tuple[int, ...], ...]:
        """The drafts to verify. They never preempt a sequence."""
        drafts = [sequence.draft() for sequence in sequences]
        length = verified_length(drafts)
        tokens = [draft.cut(length).tokens for draft in drafts]
        return tuple(
            each if each and self.slots.reserve(sequence, sequence.rows + 1 + len(each)) else ()
            for sequence, each in zip(sequences, tokens, strict=True)
        )

    def _make_room(self, sequence: Sequence, rows: int) -> bool:
        """Reserve rows for `sequence`. Return False if a sequence was preempted instead."""
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
    """Number of rows that a running sequence will soon need."""
    return min(len(sequence.tokens) + HEADROOM_ROWS, sequence.limit_rows)
