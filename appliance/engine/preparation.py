"""Sequences whose grammars are still compiled, and how many grammars may live at a time. Rules; it starts no process.

A principal's grammars wait for each other, and for nobody else's.
"""

from __future__ import annotations

from collections import Counter

from appliance.engine.constraint import Constraint
from appliance.engine.fair_queue import FairQueue
from appliance.engine.sequence import Sequence

MAX_COMPILING = 8
MAX_COMPILING_OF_A_PRINCIPAL = 2
# Ready sequences that wait for a slot, beyond those that can run: more would only hold memory.
_SPARE = 2
_PRINCIPALS = 4


class Preparation:
    """Sequences with a grammar, from their arrival until their end."""

    def __init__(self, max_running: int) -> None:
        """Expect that `max_running` sequences run at the same time at most."""
        self._most_of_a_principal = max_running + _SPARE
        self._most = _PRINCIPALS * self._most_of_a_principal
        self._queue = FairQueue()
        self._constraints: dict[Sequence, Constraint] = {}
        self._compiling: list[Sequence] = []
        self._open: set[Sequence] = set()
        self._compiling_of: Counter[str] = Counter()
        self._open_of: Counter[str] = Counter()

    def __len__(self) -> int:
        """Sequences that are not ready yet."""
        return len(self._queue) + len(self._compiling)

    def __contains__(self, sequence: Sequence) -> bool:
        """Whether it is not ready yet."""
        return sequence in self._constraints and (sequence in self._compiling or sequence not in self._open)

    @property
    def compiling(self) -> list[Constraint]:
        """The grammars that are compiled now."""
        return [self._constraints[sequence] for sequence in self._compiling]

    def add(self, sequence: Sequence, constraint: Constraint) -> None:
        """Queue a sequence for compiling its grammar."""
        self._constraints[sequence] = constraint
        self._queue.push(sequence)

    def take_ready(self) -> list[Sequence]:
        """Begin to compile what may be, and return the sequences whose grammars have become ready or failed."""
        for sequence in tuple(self._queue):
            if self._may_open(sequence.principal):
                self._queue.remove(sequence)
                self._open_one(sequence)
        ready = [sequence for sequence in self._compiling if self._constraints[sequence].is_ready]
        for sequence in ready:
            self._stop_compiling(sequence)
        return ready

    def end(self, sequence: Sequence) -> None:
        """The sequence has ended, wherever it was; one without a grammar is ignored."""
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
        # Names of principals that are gone are not kept.
        self._compiling_of -= Counter([sequence.principal])
