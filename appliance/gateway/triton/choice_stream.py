"""Several answers to one prompt, read as one stream whose deltas name their choice. Each answer has its own seed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from appliance.gateway.triton.completion import CompletionRequest, Delta

_SEED_BYTES = 8
_SEED_MASK = (1 << 63) - 1


class DeltaStream(Protocol):
    """An answer, as a stream of deltas."""

    async def read(self) -> Delta | None:
        """Return the next piece, or None after the last."""

    def cancel(self) -> None:
        """Free the slot. Has no effect after the end."""


def single_requests(request: CompletionRequest) -> list[CompletionRequest]:
    """Return one request for each choice; ids and seeds are derived from the request's own.

    The first choice uses the client's seed, so it equals the answer of a request with only one choice.
    """
    return [
        replace(
            request,
            request_id=f"{request.request_id}-{index}",
            choices=1,
            sampling={**request.sampling, "seed": derived_seed(request.sampling["seed"], index)}
            if "seed" in request.sampling
            else request.sampling,
        )
        for index in range(request.choices)
    ]


class ChoiceStream:
    """Reads several streams at once; returns deltas in the order in which they arrive."""

    def __init__(self, streams: Sequence[DeltaStream]) -> None:
        self._streams = streams
        self._reads: dict[asyncio.Task[Delta | None], int] = {}
        self._has_begun = False

    async def read(self) -> Delta | None:
        """Return the next delta of any choice, or None after the last delta of all choices.

        Raises:
            ApplianceError: a choice failed.
        """
        if not self._has_begun:
            self._has_begun = True
            for index in range(len(self._streams)):
                self._begin(index)
        while self._reads:
            done, _ = await asyncio.wait(self._reads, return_when=asyncio.FIRST_COMPLETED)
            # The read that has waited longest.
            read = next(task for task in self._reads if task in done)
            index = self._reads.pop(read)
            delta = read.result()
            if delta is not None:
                self._begin(index)
                return replace(delta, choice=index)
        return None

    def cancel(self) -> None:
        """Free all slots immediately. Has no effect after the end."""
        for stream in self._streams:
            stream.cancel()

    def _begin(self, index: int) -> None:
        task = asyncio.ensure_future(self._streams[index].read())
        # After a failure, the results of the other reads are not used; this prevents warnings about their errors.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._reads[task] = index


def derived_seed(seed: int, index: int) -> int:
    """The seed of a further answer to the same request; `index` 0 is the first answer, which has the seed itself."""
    if index == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=_SEED_BYTES).digest()
    return int.from_bytes(digest, "little") & _SEED_MASK
