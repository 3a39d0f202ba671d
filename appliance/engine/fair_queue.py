"""The queue of requests that wait for a slot: principals take turns; requests of one principal stay in order."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from appliance.engine.sequence import Sequence


class FairQueue:
    """First come first served within a principal, round robin between principals.

    Preempted sequences come before all others, oldest first: they have waited already.
    """

    def __init__(self) -> None:
        self._set_back: list[Sequence] = []
        self._by_principal: OrderedDict[str, deque[Sequence]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._set_back) + sum(map(len, self._by_principal.values()))

    def __iter__(self) -> Iterator[Sequence]:
        yield from self._set_back
        for waiting in self._by_principal.values():
            yield from waiting

    def push(self, sequence: Sequence) -> None:
        """Add a new request after its principal's other requests."""
        self._by_principal.setdefault(sequence.principal, deque()).append(sequence)

    def push_back(self, sequence: Sequence) -> None:
        """Add a sequence that ran already and was preempted."""
        self._set_back.append(sequence)
        self._set_back.sort(key=lambda waiting: waiting.order)

    def peek(self) -> Sequence | None:
        """The sequence whose turn it is."""
        return next(iter(self), None)

    def pop(self) -> Sequence:
        """Take the sequence whose turn it is; its principal goes to the end of the round."""
        if self._set_back:
            return self._set_back.pop(0)
        principal, waiting = next(iter(self._by_principal.items()))
        sequence = waiting.popleft()
        self._by_principal.move_to_end(principal)
        self._forget_if_empty(principal)
        return sequence

    def remove(self, sequence: Sequence) -> None:
        """Remove a waiting sequence."""
        if sequence in self._set_back:
            self._set_back.remove(sequence)
            return
        self._by_principal[sequence.principal].remove(sequence)
        self._forget_if_empty(sequence.principal)

    def _forget_if_empty(self, principal: str) -> None:
        if not self._by_principal[principal]:
            del self._by_principal[principal]
