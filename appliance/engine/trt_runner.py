"""Runs a TensorRT plan as a `Runner`. This module decides what to launch; an executor launches it.

A plan's attention reads the whole capacity of a slot with a mask; ONNX Runtime's attention reads only the existing
rows. Three rules follow:

1. Unused rows of a slot must be finite numbers: a masked row has the weight zero, and zero times NaN is NaN. So the
   rows of an earlier sequence are cleared before the next sequence uses the slot.
2. A launch may be padded. Padding tokens after a chunk write rows that later tokens overwrite before they are read.
   Padding slots after the decoding slots write to the last row of the capacity, which no sequence ever uses.
3. Only a few sizes are launched, so each size can be tested when the plan is loaded, and captured (see exactness.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.artefact import ModelShape
from appliance.engine.exactness import LARGEST_TILE, align_down, doubling, least_alike
from appliance.engine.executor import Executor
from appliance.engine.logits import Logits
from appliance.errors import EngineError, UsageError

# A prime, so that tokens repeat only after many steps.
_STRIDE = 7919
_log = logging.getLogger(__name__)


class TrtRunner:
    """Splits and pads chunks and batches for an executor. See `Runner`.

    Attributes:
        lengths: possible numbers of tokens of a prefill launch, ascending; a chunk is padded to one of them.
        batches: possible numbers of slots of a decode launch, ascending; a batch is padded to one of them.
    """

    def __init__(self, executor: Executor, shape: ModelShape, *, slots: int, running: int, capacity: int) -> None:
        """Launch every size once, to find the sizes whose rows are bit-identical.

        Args:
            executor: an executor whose cache has not been used yet.
            shape: sizes of the vocabulary.
            slots: slots of the cache.
            running: maximum number of slots that decode at the same time.
            capacity: tokens that a slot must hold.

        Raises:
            UsageError: the plan's profiles are too small for `running` or `capacity`.
            EngineError: a launch failed.
        """
        limits = executor.limits
        if running > limits.batch:
            raise UsageError(
                f"the plan decodes at most {limits.batch} sequences at a time, but {running} are required",
                hint=f"set slots to at most {limits.batch}, or build a plan for more",
            )
        longest = align_down(min(limits.most_chunk, limits.capacity))
        if limits.least_chunk > LARGEST_TILE or longest < LARGEST_TILE:
            raise UsageError(
                f"the plan accepts prompt chunks of {limits.least_chunk} to {limits.most_chunk} tokens, "
                f"but the engine needs chunks of {LARGEST_TILE}",
                hint="build a plan with another profile",
            )
        self._executor = executor
        self._shape = shape
        self._capacity = capacity
        self._ends = [0] * slots
        self.lengths = _from_least_alike(doubling(LARGEST_TILE, longest), self._try_length)
        self.batches = _from_least_alike(doubling(1, running), self._try_batch)
        for slot in range(running):
            executor.clear(slot, 0)  # remove the rows of the trials
        _log.info("prompts in launches of %s tokens, completions in launches of %s slots", self.lengths, self.batches)
        # The shortest launch must fit at the last row where a chunk may begin. This also keeps a slot's last row free.
        room = limits.capacity - self.lengths[0]
        if capacity > room:
            raise UsageError(
                f"the plan has space for {room} tokens per sequence, but {capacity} are required",
                hint=f"set max_context_tokens to at most {max(room, 0)}, or build a plan for more",
            )

    @property
    def exact(self) -> None:
        """See `Runner`. A plan has one kernel for prompts and another for completions."""

    @property
    def scorer(self) -> None:
        """See `Runner`. A plan's prefill launch computes the logits of one token."""

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """See `Runner`. A chunk that is longer than the plan's largest launch is split."""
        self._check(tokens, start + len(tokens))
        if start != self._ends[slot]:  # the chunk does not continue the slot's rows
            self._executor.clear(slot, start)
        self._ends[slot] = start + len(tokens)
        ids = np.asarray(tokens, np.int64)
        *others, (last, length) = _pieces(len(tokens), self._executor.limits.capacity - start, self.lengths)
        done = 0
        for taken, _ in others:
            self._executor.prefill(slot, start + done, ids[done : done + taken], taken - 1)
            done += taken
        padded = np.zeros(length, np.int64)
        padded[:last] = ids[done:]
        return self._executor.prefill(slot, start + done, padded, last - 1)

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits:
        """See `Runner`."""
        count = len(tokens)
        self._check(tokens, max(lengths) + 1)
        for slot, length in enumerate(lengths):
            self._ends[slot] = length + 1
        batch = next((batch for batch in self.batches if batch >= count), None)
        if batch is None:
            raise EngineError(f"a step has {count} sequences, but only {self.batches[-1]} were announced")
        ids = np.zeros(batch, np.int64)
        ids[:count] = tokens
        # Padding slots write to the last row, which is never read.
        write_indices = np.full(batch, self._executor.limits.capacity - 1, np.int64)
        write_indices[:count] = lengths
        return self._executor.decode(ids, write_indices)

    def copy(self, source: int, target: int, rows: int) -> None:
        """See `Runner`."""
        self._executor.copy(source, target, rows)
        self._end_at(target, rows)

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """See `Runner`."""
        self._executor.swap(first, first_rows, second, second_rows)
        self._end_at(first, second_rows)
        self._end_at(second, first_rows)

    def release(self, slot: int, keep_rows: int) -> None:
        """See `Runner`. Does nothing: all slots share one piece of device memory, which cannot be freed in part."""

    def _end_at(self, slot: int, rows: int) -> None:
        self._executor.clear(slot, rows)
        self._ends[slot] = rows

    def _check(self, tokens: Sequence[int], rows: int) -> None:
        """Check slot size and token ids: the kernels do not, and would write or read out of bounds."""
        if not 0 < rows <= self._capacity:
            raise EngineError(f"a step needs {rows} rows of a slot, but a slot has {self._capacity}")
        if min(tokens) < 0 or max(tokens) >= self._shape.vocabulary:
            raise EngineError(f"a step has a token id outside the vocabulary of {self._shape.vocabulary}")

    def _try_length(self, length: int, longest: int) -> bool:
        """Whether the last token of a chunk gets bit-identical logits inside the longest chunk."""
        ids = self._different_tokens(longest)
        last = self._executor.prefill(0, 0, ids[:length], length - 1).rows([0]).copy()
        return np.array_equal(last, self._executor.prefill(0, 0, ids, length - 1).rows([0]))

    def _try_batch(self, batch: int, largest: int) -> bool:
        """Whether slots, each with one row of zeros, get bit-identical logits in this and in the largest batch."""
        ids, behind_one = self._different_tokens(largest), np.ones(largest, np.int64)
        for slot in range(largest):
            self._executor.clear(slot, 0)
        few = self._executor.decode(ids[:batch], behind_one[:batch]).rows(range(batch)).copy()
        return np.array_equal(few, self._executor.decode(ids, behind_one).rows(range(batch)))

    def _different_tokens(self, count: int) -> NDArray[np.int64]:
        """Tokens spread over the vocabulary; a larger count only extends the sequence."""
        return np.arange(count, dtype=np.int64) * _STRIDE % self._shape.tokens


def _from_least_alike(sizes: tuple[int, ...], is_alike: Callable[[int, int], bool]) -> tuple[int, ...]:
    least = least_alike(sizes, lambda size: is_alike(size, sizes[-1]))
    return sizes[sizes.index(least) :]


def _pieces(count: int, room: int, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Split a chunk into launches. Yield for each launch the number of the chunk's tokens and the launch's length.

    Only the last launch is padded. All earlier launches have the largest length that fits.

    Args:
        count: tokens of the chunk.
        room: rows from the chunk's first row to the end of the capacity; at least `count` plus the least length.
        lengths: possible lengths of a launch, ascending, all multiples of a tile.
    """
    while count > 0:
        fitting = [length for length in lengths if length <= room]
        length = next((length for length in fitting if length >= count), fitting[-1])
        taken = min(count, length)
        yield taken, length
        count -= taken
        room -= taken
