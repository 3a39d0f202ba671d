"""Main memory, as Linux counts it: what a process holds, pages of mapped files included, and what it may still take.

The peak is of the program that runs in the process now. It is not `getrusage`'s: that one survives exec, so a program
that a large one started begins with the peak of its parent.
"""

from __future__ import annotations

from pathlib import Path

import psutil

# Two files that hold the limit and the use of the control group that this process is in, by version of control groups.
_GROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def resident_bytes(pid: int | None = None) -> int:
    """What is resident now: "VmRSS" of proc_pid_status(5).

    Args:
        pid: of the process; absent: this one.

    Returns:
        Bytes; 0 for a process that is gone.
    """
    return _field_bytes(pid, "VmRSS:")


def peak_bytes(pid: int | None = None) -> int:
    """The most that was ever resident, "VmHWM"; see `resident_bytes`."""
    return _field_bytes(pid, "VmHWM:")


def available_bytes() -> int:
    """Memory that this process can still take: the machine's, or its control group's where that is less."""
    available = int(psutil.virtual_memory().available)
    return min(available, *(_left_bytes(limit, used, available) for limit, used in _GROUP_LIMITS))


def _field_bytes(pid: int | None, field: str) -> int:
    try:
        lines = Path(f"/proc/{'self' if pid is None else pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith(field)]
    return 1024 * int(found[0]) if found else 0


def _left_bytes(limit: Path, used: Path, otherwise: int) -> int:
    """What a control group's limit leaves; `otherwise` where there is no group of this version or no limit ("max")."""
    try:
        return max(0, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return otherwise
