"""Stored answers, which clients can read or continue: in memory, separate for each principal, with limits.

The limits are time, number and bytes. Answers are never written to disk, and are lost when the process ends. Threads
can use it: answers are encoded and stored on threads.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.gateway.refusals import UnknownResponseError


@dataclass(frozen=True)
class KeptResponse:
    """One stored answer.

    Attributes:
        document: the answer as it was sent, in JSON.
        input_items: the items of the request's own input, oldest first.
        output_items: the items of the answer, oldest first; they are a part of the document.
        turns: the whole conversation including this answer, without instructions.
    """

    document: bytes
    input_items: Sequence[Mapping[str, Any]]
    output_items: Sequence[Mapping[str, Any]]
    turns: Sequence[dict[str, Any]]

    @property
    def size_bytes(self) -> int:
        """Its size as JSON. Shared turns count in each answer of a chain, so the limit is reached early, not late."""
        return len(self.document) + sum(len(json.dumps(one)) for one in (*self.input_items, *self.turns))


@dataclass(frozen=True)
class Bounds:
    """The limits of the store.

    Attributes:
        ttl_s: seconds that an answer is stored.
        answers: number of answers of one principal.
        principal_bytes: bytes of one principal.
        total_bytes: bytes of all principals.
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
    """See the module. When a limit is reached, the oldest answers are deleted, the principal's own first."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._bounds = bounds
        self._clock = clock
        # Oldest first, because all entries have the same lifetime.
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._lock = threading.RLock()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, principal: str, response_id: str, response: KeptResponse) -> None:
        """Store an answer; an answer above the limit of one principal is not stored."""
        bounds = self._bounds
        size = response.size_bytes
        if size > min(bounds.principal_bytes, bounds.total_bytes):
            return
        with self._lock:
            self._forget_old()
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
            UnknownResponseError: it never existed, belongs to another principal, was deleted or has expired.
        """
        with self._lock:
            self._forget_old()
            entry = self._entries.get((principal, response_id))
        if entry is None:
            raise UnknownResponseError(
                f"no response {response_id!r} is stored",
                hint="responses stay in memory for a limited time, unless store is false; send the whole conversation",
                param="response_id",
            )
        return entry.response

    def item(self, principal: str, item_id: str) -> Mapping[str, Any] | None:
        """Return an item of a stored answer or of its input; None: no such item is stored."""
        with self._lock:
            self._forget_old()
            own = [entry.response for key, entry in reversed(self._entries.items()) if key[0] == principal]
        items = (item for response in own for item in (*response.output_items, *response.input_items))
        return next((item for item in items if item["id"] == item_id), None)

    def delete(self, principal: str, response_id: str) -> None:
        """Delete an answer; raises as `get` does."""
        with self._lock:
            self.get(principal, response_id)
            self._forget((principal, response_id))

    def _forget(self, key: tuple[str, str]) -> int:
        """Delete an entry, and return the number of freed bytes."""
        freed = self._entries.pop(key).size_bytes
        self.size_bytes -= freed
        return freed

    def _forget_old(self) -> None:
        now = self._clock()
        while self._entries and next(iter(self._entries.values())).ends_at <= now:
            self._forget(next(iter(self._entries)))
