"""Sequences whose grammars are being compiled, and the limits on open grammars. Rules only: starts no process.

A limit per principal keeps the grammars of one principal from delaying those of others.
"""

from __future__ import annotations

from collections import Counter

from appliance.engine.constraint import Constraint
from appliance.engine.fair_queue import FairQueue
from appliance.engine.sequence import Sequence

MAX_COMPILING = 8
MAX_COMPILING_OF_A_PRINCIPAL = 2
# Per principal, sequences with an open grammar beyond those that can run: more would only use memory.
_SPARE = 2
_PRINCIPALS = 4


class Preparation:
    """The sequences with a grammar, from arrival to end."""

    def __init__(self, max_running: int) -> None:
        """Set the limits for at most `max_running` sequences that run at the same time."""
        self._most_of_a_principal = max_running + _SPARE
        self._most = _PRINCIPALS * self._most_of_a_principal
        self._queue = FairQueue()
        self._constraints: dict[Sequence, Constraint] = {}
        self._compiling: list[Sequence] = []
        self._open: set[Sequence] = set()
        self._compiling_of: Counter[str] = Counter()
        self._open_of: Counter[str] = Counter()

    def __len__(self) -> int:
        """Number of sequences whose grammars are not ready yet."""
        return len(self._queue) + len(self._compiling)

    def __contains__(self, sequence: Sequence) -> bool:
        """Whether the sequence has a grammar that is not ready yet."""
        return sequence in self._constraints and (sequence in self._compiling or sequence not in self._open)

    @property
    def compiling(self) -> list[Constraint]:
        """The grammars that are being compiled now."""
        return [self._constraints[sequence] for sequence in self._compiling]

    def add(self, sequence: Sequence, constraint: Constraint) -> None:
        """Queue a sequence until its grammar can be compiled."""
        self._constraints[sequence] = constraint
        self._queue.push(sequence)

    def take_ready(self) -> list[Sequence]:
        """Start to compile grammars within the limits; return the sequences whose grammars are now ready or failed."""
        for sequence in tuple(self._queue):
            if self._may_open(sequence.principal):
                self._queue.remove(sequence)
                self._open_one(sequence)
        ready = [sequence for sequence in self._compiling if self._constraints[sequence].is_ready]
        for sequence in ready:
            self._stop_compiling(sequence)
        return ready

    def end(self, sequence: Sequence) -> None:
        """Remove a sequence that has ended, in any state. A sequence without a grammar is ignored."""
        constraint = self._constraints.pop(sequence, None)
        if constraint is None:
            return
        if sequence not in self._open:
            self._queue.remove(sequence)
            return
        if sequence in self._compiling:
            self._stop_compiling(sequence)
        self._open.remove(sequence)
        self._open_of -= Counter([sequence.principal])
        constraint.close()

    def _may_open(self, principal: str) -> bool:
        return (
            len(self._compiling) < MAX_COMPILING
            and self._compiling_of[principal] < MAX_COMPILING_OF_A_PRINCIPAL
            and len(self._open) < self._most
            and self._open_of[principal] < self._most_of_a_principal
        )

    def _open_one(self, sequence: Sequence) -> None:
        self._constraints[sequence].open()
        self._compiling.append(sequence)
        self._compiling_of[sequence.principal] += 1
        self._open.add(sequence)
        self._open_of[sequence.principal] += 1

    def _stop_compiling(self, sequence: Sequence) -> None:
        self._compiling.remove(sequence)
        # The subtraction removes principals whose count is zero.
        self._compiling_of -= Counter([sequence.principal])
