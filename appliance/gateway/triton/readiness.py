"""Whether each model is ready. Triton is asked once a second, so health checks send no requests to Triton."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from appliance.gateway.loading.loaded_models import LoadedModels
from appliance.gateway.triton.questions import Questions
from appliance.within import within

_INTERVAL_S = 1.0


class Readiness:
    """The last known state of every model; models are not ready until Triton has reported that they are."""

    def __init__(self, questions: Questions, models: Sequence[str], loaded: LoadedModels) -> None:
        self._questions = questions
        self._loaded = loaded
        self._ready = dict.fromkeys(models, False)
        self._asking = asyncio.Lock()
        self._new = asyncio.Event()

    def is_ready(self, model: str) -> bool:
        """Whether this model was ready at the last check."""
        return self._ready[model]

    @property
    def waiting_for(self) -> list[str]:
        """The models that should be ready and are not. Only this property defines when the box is ready."""
        return [model for model in self._loaded.wanted if not self._ready[model]]

    async def ask(self) -> None:
        """Check now. The last result may be wrong if Triton has restarted within the last second."""
        async with self._asking:
            asked_at = self._loaded.now
            ready = {model: await self._questions.is_ready(model) for model in self._ready}
            self._loaded.observe(ready, asked_at)
            if ready != self._ready:
                self._ready = ready
                self._new.set()

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Check once a second until cancelled; await `changed` after every change, even if `ask` found it elsewhere."""
        while True:
            await self.ask()
            if self._new.is_set():
                self._new.clear()
                await changed()
            with suppress(asyncio.TimeoutError):
                await within(_INTERVAL_S, self._new.wait())
