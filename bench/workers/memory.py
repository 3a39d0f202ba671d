"""The resident memory of processes as Linux counts it: its high water since the last look."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# proc(5): resets the peak resident set size ("high water mark") to the current one.
_RESET_PEAK = "5"


def peak_bytes(pids: Sequence[int]) -> int:
    """The sum of the processes' high waters; pages that they share count in each. A process that is gone counts 0."""
    return sum(_high_water(pid) for pid in pids)


def reset_peak(pids: Sequence[int]) -> None:
    """Begin the processes' high waters anew."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def _high_water(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(found[0]) if found else 0
