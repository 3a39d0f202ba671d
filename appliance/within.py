"""Waits for something, but not for ever, without losing a cancellation.

`asyncio.wait_for` swallows one before Python 3.12 when what it waits for ends in the same moment (bpo-37658): a task
that was told to end goes on for ever then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def within(limit_s: float, work: Coroutine[Any, Any, _T]) -> _T:
    """Return what `work` returns; it runs as a task of its own.

    Raises:
        asyncio.TimeoutError: it had not ended after `limit_s` seconds; it is cancelled then, and has cleaned up.
        asyncio.CancelledError: whoever waits was cancelled, and so was `work`.
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
            # Whoever waits was cancelled in the moment of an error: asyncio complains about those that nobody reads.
            task.exception()
