"""The processor's cores that this process may use."""

from __future__ import annotations

import os

import psutil


def physical_cores() -> int:
    """Their number, without the second threads of a core; at least 1."""
    return max(1, min(psutil.cpu_count(logical=False) or 1, len(os.sched_getaffinity(0))))
