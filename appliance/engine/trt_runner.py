"""Runs a TensorRT plan behind the engine's seam. It decides what is launched; an executor launches it.

A plan's graph looks at a slot's whole capacity behind a mask, where ONNX Runtime's looks at the rows that are there.
Three rules follow from that:

1. Rows that a slot does not hold are finite numbers: a masked row counts zero times, and zero times NaN is NaN. So
   whatever an earlier sequence left behind is cleared before the next one's rows come.
2. A launch may have more rows than are wanted. Tokens behind a chunk's end write rows that later ones overwrite before
   they are seen. Slots behind the decoding ones write to the last row of the capacity, which no sequence ever holds.
3. Only a few sizes are launched, so that each can be tried when a plan is loaded, and captured (see exactness.py).
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

# A prime, so that tokens repeat late.
_STRIDE = 7919
_log = logging.getLogger(__name__)


class TrtRunner:
    """Chunks, batches and slots over an executor. See `Runner`.

    Attributes:
        lengths: tokens of a prefill launch, ascending: a chunk is filled up to one of them.
        batches: slots of a decode launch, ascending: likewise.
    """

    def __init__(self, executor: Executor, shape: ModelShape, *, slots: int, running: int, capacity: int) -> None:
        """Launch every size once, to find those whose rows agree to the last bit.

        Args:
            executor: its cache has not been used yet.
            shape: sizes of the vocabulary.
            slots: slots of the cache.
            running: how many of them decode at the same time at most.
            capacity: tokens that a slot must hold.

        Raises:
            UsageError: the plan's profiles are too small for that.
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
            executor.clear(slot, 0)  # of what the trials wrote
        _log.info("prompts in launches of %s tokens, completions in launches of %s slots", self.lengths, self.batches)
        # The least launch at the last row a chunk may begin at must fit; that also keeps the capacity's last row free.
        room = limits.capacity - self.lengths[0]
        if capacity > room:
            raise UsageError(
                f"the plan has space for {room} tokens per sequence, but {capacity} are required",
                hint=f"set max_context_tokens to at most {max(room, 0)}, or build a plan for more",
            )

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """See `Runner`. A chunk beyond the plan's is computed in pieces."""
        self._check(tokens, start + len(tokens))
        if start != self._ends[slot]:  # it does not go on where the slot's last rows ended
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
        # The slots behind the wanted ones write where nobody looks.
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
        """See `Runner`. The device's memory is one piece for all slots, so there is none to give back."""

    def _end_at(self, slot: int, rows: int) -> None:
        self._executor.clear(slot, rows)
        self._ends[slot] = rows

    def _check(self, tokens: Sequence[int], rows: int) -> None:
        """The kernels would write past the slot and read past the embedding table: they check neither."""
        if not 0 < rows <= self._capacity:
            raise EngineError(f"a step needs {rows} rows of a slot, but a slot has {self._capacity}")
        if min(tokens) < 0 or max(tokens) >= self._shape.vocabulary:
            raise EngineError(f"a step has a token id outside the vocabulary of {self._shape.vocabulary}")

    def _try_length(self, length: int, longest: int) -> bool:
        """Whether a chunk's last token gets the very logits that it gets in the midst of the longest chunk."""
        ids = self._different_tokens(longest)
        last = self._executor.prefill(0, 0, ids[:length], length - 1).rows([0]).copy()
        return np.array_equal(last, self._executor.prefill(0, 0, ids, length - 1).rows([0]))

    def _try_batch(self, batch: int, largest: int) -> bool:
        """Whether slots get the very logits that they get in the largest batch, each behind a row of zeros."""
        ids, behind_one = self._different_tokens(largest), np.ones(largest, np.int64)
        for slot in range(largest):
            self._executor.clear(slot, 0)
        few = self._executor.decode(ids[:batch], behind_one[:batch]).rows(range(batch)).copy()
        return np.array_equal(few, self._executor.decode(ids, behind_one).rows(range(batch)))

    def _different_tokens(self, count: int) -> NDArray[np.int64]:
        """Tokens spread over the vocabulary, which begin alike for any count."""
        return np.arange(count, dtype=np.int64) * _STRIDE % self._shape.tokens


def _from_least_alike(sizes: tuple[int, ...], is_alike: Callable[[int, int], bool]) -> tuple[int, ...]:
    least = least_alike(sizes, lambda size: is_alike(size, sizes[-1]))
    return sizes[sizes.index(least) :]


def _pieces(count: int, room: int, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Split a chunk into launches: for each, how many of its tokens it takes and how long it is.

    Only the last may be longer than what it takes: elsewhere the largest length that fits is taken.

    Args:
        count: tokens of the chunk.
        room: rows from the chunk's first on to the end of the capacity; the least length more than `count` at least.
        lengths: what a launch may be long, ascending; multiples of a tile all.
    """
    while count > 0:
        fitting = [length for length in lengths if length <= room]
        length = next((length for length in fitting if length >= count), fitting[-1])
        taken = min(count, length)
        yield taken, length
        count -= taken
        room -= taken
