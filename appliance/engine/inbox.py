"""Passes requests, cancellations and the order to close from callers' threads to the engine's thread."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from appliance.engine.stream import Stream
from appliance.errors import OverloadedError, RequestError, UnavailableError


@dataclass(frozen=True)
class Mail:
    """The content of the inbox since the last `collect`.

    Attributes:
        streams: new requests, oldest first.
        cancelled: ids of requests to end.
        drain_until: monotonic seconds at which the engine stops; None if it is not to close.
    """

    streams: tuple[Stream, ...]
    cancelled: frozenset[str]
    drain_until: float | None


class Inbox:
    """A thread-safe queue between callers and the engine; every method is thread-safe.

    A request is live from `put` until `forget`. No other request can use its id in this time.
    """

    def __init__(self, max_live: int) -> None:
        """Accept at most `max_live` live requests."""
        self._max_live = max_live
        self._changed = threading.Condition()
        self._streams: deque[Stream] = deque()
        self._cancelled: set[str] = set()
        self._live: set[str] = set()
        self._refusal: UnavailableError | None = None
        self._drain_until: float | None = None

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def is_open(self) -> bool:
        """Whether the inbox accepts new requests."""
        return self._refusal is None

    def put(self, stream: Stream) -> None:
        """Add a request.

        Raises:
            UnavailableError: the inbox is closed.
            RequestError: the request's id is in use.
            OverloadedError: too many requests are live.
        """
        request_id = stream.sequence.request.request_id
        with self._changed:
            if self._refusal is not None:
                raise UnavailableError(self._refusal.message, hint=self._refusal.hint)
            if request_id in self._live:
                raise RequestError(f"the request id {request_id!r} is already in use", param="request_id")
            if len(self._live) >= self._max_live:
                raise OverloadedError(
                    f"{len(self._live)} requests are already running or waiting", hint="try again later"
                )
            self._live.add(request_id)
            self._streams.append(stream)
            self._changed.notify()

    def cancel(self, request_id: str) -> None:
        """Cancel a request; a request that is not live is ignored."""
        with self._changed:
            if request_id in self._live:
                self._cancelled.add(request_id)
                self._changed.notify()

    def close(self, refusal: UnavailableError, drain_until: float | None = None) -> None:
        """Reject new requests with `refusal`; after several calls, with the first refusal.

        `drain_until`, if given, is the time in monotonic seconds at which the engine stops.
        """
        with self._changed:
            self._refusal = self._refusal or refusal
            self._drain_until = self._drain_until if drain_until is None else drain_until
            self._changed.notify()

    def collect(self, *, wait: bool) -> Mail:
        """Remove and return everything. If `wait`, block until there is a request or the engine is to close."""
        with self._changed:
            while wait and not self._streams and self._drain_until is None:
                self._changed.wait()
            mail = Mail(tuple(self._streams), frozenset(self._cancelled), self._drain_until)
            self._streams.clear()
            self._cancelled.clear()
            return mail

    def forget(self, request_id: str) -> None:
        """Mark a request as ended."""
        with self._changed:
            self._live.discard(request_id)
            self._cancelled.discard(request_id)
