"""Notices a service that runs and does not answer. It ends nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_PERIOD_S = 2.0
_MISSES = 3


class Watchdog:
    """Asks a question again and again.

    A busy machine may miss an answer; several in a row are a hang.
    """

    def __init__(self, is_alive: Callable[[], Coroutine[Any, Any, bool]], period_s: float = _PERIOD_S) -> None:
        self._is_alive = is_alive
        self._period_s = period_s

    async def wait(self) -> str:
        """Return, with the reason, when the service has not answered several times in a row."""
        misses = 0
        while misses < _MISSES:
            await asyncio.sleep(self._period_s)
            misses = 0 if await self._is_alive() else misses + 1
        return f"it did not answer {_MISSES} times in a row"
