"""Measures how busy the machine was with other processes while a worker ran, which makes figures unreliable."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

# proc(5), the first line of /proc/stat: user nice system idle iowait irq softirq steal ... in clock ticks.
_BUSY_FIELDS = (0, 1, 2, 5, 6, 7)


class Others:
    """Counts from its creation on. Child processes that have ended, and their children, do not count as others."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy_s, self._own_s = _busy_s(), _own_s()

    def cores(self) -> float:
        """Average number of cores that others kept busy, including time that a hypervisor took."""
        others_s = (_busy_s() - self._busy_s) - (_own_s() - self._own_s)
        return max(0.0, others_s / (time.monotonic() - self._began))


def _busy_s() -> float:
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    return sum(int(fields[index]) for index in _BUSY_FIELDS) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
