"""Receives the one message of a unary gRPC call, and limits the memory of all messages that are being received.

gRPC does not announce the length of a message, and keeps a message in memory until it is complete. Therefore the number
of concurrent receives is limited so that all of them may have the largest size. The other calls wait; meanwhile their
flow-control window limits what they hold.
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
    """All messages that unary calls are receiving."""

    def __init__(self, box: Limits, principal: Limits, *, max_message_bytes: int, timeout_s: float) -> None:
        """Set the limits.

        Args:
            box: `max_held_bytes` of all principals together.
            principal: `max_held_bytes` of each principal.
            max_message_bytes: the largest message that gRPC accepts.
            timeout_s: seconds for a message to arrive, including the time in the queue.
        """
        self._timeout_s = timeout_s
        self._all = asyncio.Semaphore(_at_once(box, max_message_bytes))
        self._each = _at_once(principal, max_message_bytes)
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def message(self, who: str, context: Any) -> bytes:
        """Return the message of a call.

        Args:
            who: the principal's name; empty for calls that are open to all.
            context: the call's servicer context.

        Raises:
            BodyTimeoutError: the message did not arrive in time.
            RequestError: the call has no message.
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
