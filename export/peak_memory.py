"""The peak of a process's resident memory, as Linux counts it for the program that runs in it now.

Not `getrusage`: its peak survives exec, so a program that a large one started begins with the peak of its parent.
"""

from __future__ import annotations

from pathlib import Path


def peak_bytes(pid: int | None = None) -> int:
    """The most that was ever resident, pages of mapped files included: "VmHWM" of proc_pid_status(5).

    Args:
        pid: of the process; absent: this one.

    Returns:
        Bytes; 0 for a process that is gone.
    """
    try:
        lines = Path(f"/proc/{'self' if pid is None else pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(found[0]) if found else 0
