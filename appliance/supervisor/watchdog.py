"""Detects a service that runs and does not answer. The watchdog does not end the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_PERIOD_S = 2.0
_MISSES = 3
# A service that computes will answer again, and ending it would end every stream. This patience has a limit.
_BUSY_MISSES = 30


class Watchdog:
    """Checks repeatedly whether a service answers.

    A busy machine may miss one answer. Several missing answers in a row are a hang, unless the service computed
    meanwhile.
    """

    def __init__(
        self,
        is_alive: Callable[[], Coroutine[Any, Any, bool]],
        is_busy: Callable[[], bool] = lambda: False,
        period_s: float = _PERIOD_S,
    ) -> None:
        """`is_busy` returns whether the service has computed since the previous call."""
        self._is_alive = is_alive
        self._is_busy = is_busy
        self._period_s = period_s

    async def wait(self) -> str:
        """Wait until the service has not answered several times in a row; returns the reason."""
        misses = idle = 0
        while idle < _MISSES and misses < _BUSY_MISSES:
            await asyncio.sleep(self._period_s)
            is_alive, is_busy = await self._is_alive(), self._is_busy()
            misses = 0 if is_alive else misses + 1
            idle = 0 if is_alive or is_busy else idle + 1
        return f"it did not answer {misses} times in a row"
