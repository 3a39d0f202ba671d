"""Watches the engines of a set. The process of one that hangs is ended, so that only this model is loaded again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        # By process: a model that is loaded again has a new one, which must not pay for the old one.
        self._misses: Mapping[psutil.Process, int] = {}

    async def is_alive(self) -> bool:
        """Whether Triton works: it answers, and not all engines hang. Call it at regular times."""
        hanging = await hanging_engines(self._layout, self._models)
        if hanging is None:
            return False
        triton = self._triton()
        processes = model_processes(triton) if triton is not None else {}
        suspects = {processes[model]: model for model in hanging if model in processes}
        self._misses = {process: self._misses.get(process, 0) + 1 for process in suspects}
        if len(hanging) == len(self._models):
            return False
        for process, model in suspects.items():
            if self._misses[process] == _MISSES:
                self._say(f"the process of {model} does not answer; it is ended")
                with suppress(psutil.Error):
                    process.kill()
        return True
