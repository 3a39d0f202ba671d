"""The total resident memory of several processes; shared pages count in each process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from appliance.memory import peak_bytes, resident_bytes

# proc(5): resets the peak resident set size ("high water mark") to the current one.
_RESET_PEAK = "5"


def total_bytes(pids: Sequence[int]) -> int:
    """Resident memory now. A process that has ended counts 0."""
    return sum(resident_bytes(pid) for pid in pids)


def total_peak_bytes(pids: Sequence[int]) -> int:
    """The sum of the processes' peaks since the last reset. A process that has ended counts 0."""
    return sum(peak_bytes(pid) for pid in pids)


def mapped_bytes(folder: Path) -> int:
    """Resident memory of this process that is mapped from files directly in a folder: "Rss" of proc_pid_smaps(5)."""
    total, is_of_folder = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        name = line.split(None, 1)[0]
        if not name.endswith(":"):
            *_, path = line.split(None, 5)
            is_of_folder = Path(path).parent == folder
        elif is_of_folder and name == "Rss:":
            total += 1024 * int(line.split()[1])
    return total


def reset_peaks(pids: Sequence[int]) -> None:
    """Reset the processes' peaks."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
