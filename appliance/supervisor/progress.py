"""Detects whether a process computes, from its CPU time in the kernel. It sends the process no request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psutil

# A process that only waits uses far less CPU time between two checks.
_LEAST_S = 0.05


class Progress:
    """Measures the service's current process. After a restart, this is another process."""

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid
        self._seen: tuple[int | None, float] = (None, 0.0)

    def is_busy(self) -> bool:
        """Whether the process has computed since the last call."""
        pid, used_s = self._pid(), 0.0
        with suppress(psutil.Error):
            if pid is not None:
                times = psutil.Process(pid).cpu_times()
                used_s = times.user + times.system
        before, self._seen = self._seen, (pid, used_s)
        return before[0] == pid and used_s - before[1] >= _LEAST_S
