"""Notices a service that runs and does not answer. It ends nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_PERIOD_S = 2.0
_MISSES = 3
# A service that computes will answer again, and ending it would end every stream; but not for ever.
_BUSY_MISSES = 30


class Watchdog:
    """Asks a question again and again.

    A busy machine may miss an answer; several in a row are a hang, if the service does not compute meanwhile.
    """

    def __init__(
        self,
        is_alive: Callable[[], Coroutine[Any, Any, bool]],
        is_busy: Callable[[], bool] = lambda: False,
        period_s: float = _PERIOD_S,
    ) -> None:
        """`is_busy` tells whether the service has computed since it was last called."""
        self._is_alive = is_alive
        self._is_busy = is_busy
        self._period_s = period_s

    async def wait(self) -> str:
        """Return, with the reason, when the service has not answered several times in a row."""
        misses = idle = 0
        while idle < _MISSES and misses < _BUSY_MISSES:
            await asyncio.sleep(self._period_s)
            is_alive, is_busy = await self._is_alive(), self._is_busy()
            misses = 0 if is_alive else misses + 1
            idle = 0 if is_alive or is_busy else idle + 1
        return f"it did not answer {misses} times in a row"
