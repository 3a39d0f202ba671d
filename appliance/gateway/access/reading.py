"""Receives the one message of a gRPC call, with a bound on what all that are still coming may take of the memory.

gRPC tells nobody how long a message will be, and keeps it until it is complete. So only so many are received at once
that all of them may have the largest size; the others wait with what their stream's window holds.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from weakref import WeakValueDictionary

import grpc.aio

from appliance.errors import RequestError
from appliance.gateway.access.account import Limits
from appliance.gateway.refusals import BodyTimeoutError
from appliance.within import within


class Reading:
    """Every message that is being received by calls with one message."""

    def __init__(self, box: Limits, principal: Limits, *, max_message_bytes: int, timeout_s: float) -> None:
        """Take the limits.

        Args:
            box: `max_held_bytes` of all principals together.
            principal: the same of each.
            max_message_bytes: what gRPC takes for one message.
            timeout_s: seconds for a message to arrive, its wait for its turn among them.
        """
        self._timeout_s = timeout_s
        self._all = asyncio.Semaphore(_at_once(box, max_message_bytes))
        self._each = _at_once(principal, max_message_bytes)
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def message(self, who: str, context: Any) -> bytes:
        """Return a call's message.

        Args:
            who: the principal's name; empty for the calls that are open to all.
            context: the call's servicer context.

        Raises:
            BodyTimeoutError: it did not arrive in time.
            RequestError: the call has none.
        """
        own = self._own.setdefault(who, asyncio.Semaphore(self._each))
        try:
            message = await within(self._timeout_s, self._in_turn(own, context))
        except asyncio.TimeoutError as error:
            raise BodyTimeoutError(f"the message did not arrive within {self._timeout_s:g} seconds") from error
        if message is grpc.aio.EOF:
            raise RequestError("the call has no message")
        return bytes(message)

    async def _in_turn(self, own: asyncio.Semaphore, context: Any) -> Any:
        async with own, self._all:
            return await context.read()


def _at_once(limits: Limits, max_message_bytes: int) -> int:
    if limits.max_held_bytes is None:
        return sys.maxsize
    return max(1, limits.max_held_bytes // max_message_bytes)
