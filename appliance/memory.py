"""Main memory as Linux counts it: resident memory of a process, mapped files included, and available memory.

The peak is that of the program that the process runs now. `getrusage`'s peak survives exec: a program that a large
process started would begin with its parent's peak.
"""

from __future__ import annotations

from pathlib import Path

import psutil

# The files with the limit and the use of this process's control group, for versions 2 and 1 of control groups.
_GROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def resident_bytes(pid: int | None = None) -> int:
    """Resident memory now: "VmRSS" of proc_pid_status(5).

    Args:
        pid: the process; None means this process.

    Returns:
        Bytes; 0 if the process has ended.
    """
    return _field_bytes(pid, "VmRSS:")


def peak_bytes(pid: int | None = None) -> int:
    """The peak of resident memory, "VmHWM"; see `resident_bytes`."""
    return _field_bytes(pid, "VmHWM:")


def available_bytes() -> int:
    """Memory that this process can still use: the machine's, or its control group's if that is less."""
    available = int(psutil.virtual_memory().available)
    return min(available, *(_left_bytes(limit, used, available) for limit, used in _GROUP_LIMITS))


def total_bytes() -> int:
    """All memory, used or not, that this process could get: the machine's, or its control group's if that is less."""
    total = int(psutil.virtual_memory().total)
    return min(total, *(_limit_bytes(limit, total) for limit, _ in _GROUP_LIMITS))


def _field_bytes(pid: int | None, field: str) -> int:
    try:
        lines = Path(f"/proc/{'self' if pid is None else pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith(field)]
    return 1024 * int(found[0]) if found else 0


def _limit_bytes(limit: Path, otherwise: int) -> int:
    try:
        return int(limit.read_text())
    except (OSError, ValueError):
        return otherwise


def _left_bytes(limit: Path, used: Path, otherwise: int) -> int:
    """Memory left in a control group; `otherwise` without a group of this version or without a limit ("max")."""
    try:
        return max(0, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return otherwise
