"""Answers that can be asked for again or gone on from: in memory, each principal's own, bounded in time, number, bytes.

They are never written anywhere, and end with the process.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.gateway.refusals import UnknownResponseError


@dataclass(frozen=True)
class KeptResponse:
    """One answer.

    Attributes:
        document: the answer as it was sent, in JSON.
        input_items: the items of its own input, oldest first.
        turns: the whole conversation with this answer, without instructions.
    """

    document: bytes
    input_items: Sequence[Mapping[str, Any]]
    turns: Sequence[dict[str, Any]]

    @property
    def size_bytes(self) -> int:
        """What it holds as JSON. Turns that a chain shares count in each link: the bound errs to the safe side."""
        return len(self.document) + sum(len(json.dumps(one)) for one in (*self.input_items, *self.turns))


@dataclass(frozen=True)
class Bounds:
    """How much is kept.

    Attributes:
        ttl_s: seconds that an answer is kept.
        answers: of one principal.
        principal_bytes: of one principal.
        total_bytes: of all.
    """

    ttl_s: float = 3600.0
    answers: int = 256
    principal_bytes: int = 16 << 20
    total_bytes: int = 64 << 20


@dataclass(frozen=True)
class _Entry:
    response: KeptResponse
    size_bytes: int
    ends_at: float


class ResponseStore:
    """See the module. When a bound is reached the oldest go: a principal's own first."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that never go back."""
        self._bounds = bounds
        self._clock = clock
        # Oldest first, since all are kept equally long.
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, principal: str, response_id: str, response: KeptResponse) -> None:
        """Keep an answer; one that is larger than a principal's share is not kept."""
        self._forget_old()
        bounds = self._bounds
        size = response.size_bytes
        if size > min(bounds.principal_bytes, bounds.total_bytes):
            return
        own = [key for key in self._entries if key[0] == principal]
        own_bytes = sum(self._entries[key].size_bytes for key in own)
        while own and (len(own) >= bounds.answers or own_bytes + size > bounds.principal_bytes):
            own_bytes -= self._forget(own.pop(0))
        while self._entries and self.size_bytes + size > bounds.total_bytes:
            self._forget(next(iter(self._entries)))
        self._entries[principal, response_id] = _Entry(response, size, self._clock() + bounds.ttl_s)
        self.size_bytes += size

    def get(self, principal: str, response_id: str) -> KeptResponse:
        """Return an answer.

        Raises:
            UnknownResponseError: it never was, is somebody else's, was deleted, or is kept no longer.
        """
        self._forget_old()
        try:
            return self._entries[principal, response_id].response
        except KeyError:
            raise UnknownResponseError(
                f"no response {response_id!r} is stored",
                hint="responses stay in memory for a limited time, unless store is false; send the whole conversation",
                param="response_id",
            ) from None

    def delete(self, principal: str, response_id: str) -> None:
        """Forget an answer; raises as `get` does."""
        self.get(principal, response_id)
        self._forget((principal, response_id))

    def _forget(self, key: tuple[str, str]) -> int:
        """Return how many bytes that freed."""
        freed = self._entries.pop(key).size_bytes
        self.size_bytes -= freed
        return freed

    def _forget_old(self) -> None:
        now = self._clock()
        while self._entries and next(iter(self._entries.values())).ends_at <= now:
            self._forget(next(iter(self._entries)))
