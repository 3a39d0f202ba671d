"""A process's resident memory, as Linux counts it for the program that runs in it now; pages of mapped files included.

The peak is not `getrusage`'s: that one survives exec, so a program that a large one started begins with the peak of its
parent.
"""

from __future__ import annotations

from pathlib import Path


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


def _field_bytes(pid: int | None, field: str) -> int:
    try:
        lines = Path(f"/proc/{'self' if pid is None else pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith(field)]
    return 1024 * int(found[0]) if found else 0
