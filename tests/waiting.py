"""Waiting for what another process does: there is no event to wait for, only a look again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LIMIT_S = 300.0
_PERIOD_S = 0.01


def wait_until(condition: Callable[[], object], told: Callable[[], str] = str) -> None:
    """Return when the condition holds; fail after a time that no healthy run needs, with what `told` returns then."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {LIMIT_S:g} s in vain {told()}"
        time.sleep(_PERIOD_S)


async def until(condition: Callable[[], object]) -> None:
    """The same inside an event loop."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {LIMIT_S:g} s in vain"
        await asyncio.sleep(_PERIOD_S)
