"""Whether each model can answer, asked of Triton once a second, so that health checks cost it nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from appliance.gateway.triton_client import TritonClient

_INTERVAL_S = 1.0


class Readiness:
    """The last known state of every model; not ready until Triton has said otherwise."""

    def __init__(self, triton: TritonClient, models: Sequence[str]) -> None:
        self._triton = triton
        self._ready = dict.fromkeys(models, False)

    def is_ready(self, model: str) -> bool:
        """Whether this model answered the last time."""
        return self._ready[model]

    @property
    def waiting_for(self) -> list[str]:
        """Models that are not ready."""
        return [model for model, ready in self._ready.items() if not ready]

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Ask again and again until cancelled; awaits `changed` after every change."""
        while True:
            ready = {model: await self._triton.is_ready(model) for model in self._ready}
            if ready != self._ready:
                self._ready = ready
                await changed()
            await asyncio.sleep(_INTERVAL_S)
