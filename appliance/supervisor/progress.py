"""Whether a process computes, by the kernel's account of its time. It asks the process nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psutil

# What a process that only waits uses between two looks is far less.
_LEAST_S = 0.05


class Progress:
    """Looks again and again at the process that has the id of the moment; it may be started anew."""

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid
        self._seen: tuple[int | None, float] = (None, 0.0)

    def is_busy(self) -> bool:
        """Whether it has computed since the last look."""
        pid, used_s = self._pid(), 0.0
        with suppress(psutil.Error):
            if pid is not None:
                times = psutil.Process(pid).cpu_times()
                used_s = times.user + times.system
        before, self._seen = self._seen, (pid, used_s)
        return before[0] == pid and used_s - before[1] >= _LEAST_S
