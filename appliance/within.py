"""Waits for a coroutine with a time limit, without losing a cancellation.

Before Python 3.12, `asyncio.wait_for` loses a cancellation if the awaited task ends at the same moment (bpo-37658): a
cancelled task would then run for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def within(limit_s: float, work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of `work`, which runs as a separate task.

    Raises:
        asyncio.TimeoutError: `work` had not ended after `limit_s` seconds; it was cancelled and has cleaned up.
        asyncio.CancelledError: the caller was cancelled, and so was `work`.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=limit_s)
        if task.done():
            return task.result()
        raise asyncio.TimeoutError
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif not task.cancelled():
            # The caller was cancelled while `work` failed: read the exception, because asyncio warns about unread ones.
            task.exception()
