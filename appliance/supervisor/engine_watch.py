"""Watches the engines of a set. The process of one that hangs is ended, so that only this model is loaded again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

from appliance.layout import Layout
from appliance.supervisor.status import hanging_engines
from appliance.triton.model_process import model_processes

# A busy machine may miss one check.
_MISSES = 3


class EngineWatch:
    """See the module."""

    def __init__(
        self, layout: Layout, models: Sequence[str], triton: Callable[[], int | None], say: Callable[[str], None]
    ) -> None:
        """Create the watch.

        Args:
            layout: the box's folders.
            models: all models of the set.
            triton: returns the process id of tritonserver.
            say: receives a line for each process that is ended.
        """
        self._layout = layout
        self._models = models
        self._triton = triton
        self._say = say
        self._misses: Counter[str] = Counter()

    async def is_alive(self) -> bool:
        """Whether Triton works: it answers, and not all engines hang. Call it at regular times."""
        hanging = await hanging_engines(self._layout, self._models)
        if hanging is None:
            return False
        self._misses = Counter({model: self._misses[model] + 1 for model in hanging})
        if len(hanging) == len(self._models):
            return False
        for model in hanging:
            if self._misses[model] == _MISSES:
                self._end(model)
        return True

    def _end(self, model: str) -> None:
        triton = self._triton()
        process = model_processes(triton).get(model) if triton is not None else None
        if process is not None:
            self._say(f"the process of {model} does not answer; it is ended")
            with suppress(psutil.Error):
                process.kill()
