"""Whether each model can answer, asked of Triton once a second, so that health checks cost it nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from appliance.gateway.triton.questions import Questions
from appliance.within import within

_INTERVAL_S = 1.0


class Readiness:
    """The last known state of every model; not ready until Triton has said otherwise."""

    def __init__(self, questions: Questions, models: Sequence[str]) -> None:
        self._questions = questions
        self._ready = dict.fromkeys(models, False)
        self._asking = asyncio.Lock()
        self._new = asyncio.Event()

    def is_ready(self, model: str) -> bool:
        """Whether this model answered the last time."""
        return self._ready[model]

    @property
    def waiting_for(self) -> list[str]:
        """What keeps the box from being ready; only here is it said that each model of the set must be."""
        return [model for model, ready in self._ready.items() if not ready]

    async def ask(self) -> None:
        """Ask now. A Triton that was started again within a second leaves an answer that no longer holds."""
        async with self._asking:
            ready = {model: await self._questions.is_ready(model) for model in self._ready}
            if ready != self._ready:
                self._ready = ready
                self._new.set()

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Ask again and again until cancelled; awaits `changed` after every change, whoever asked."""
        while True:
            await self.ask()
            if self._new.is_set():
                self._new.clear()
                await changed()
            with suppress(asyncio.TimeoutError):
                await within(_INTERVAL_S, self._new.wait())
