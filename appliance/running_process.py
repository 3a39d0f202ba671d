"""Identifies a process, so that no other process is mistaken for it after its end, a clock change or a reboot.

The kernel reuses process ids, and start times by the wall clock change with the clock. Start times in the kernel's
ticks since the boot do not change, and each boot has an id. Both are read from /proc.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys" / "kernel" / "random" / "boot_id"
# proc(5): fields are counted from 1, and the second field, the program's name, may contain spaces and brackets.
_FIRST_AFTER_NAME, _START_FIELD = 3, 22
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def boot_id() -> str:
    """The random id that the kernel creates at each boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def file_id(path: Path) -> str:
    """The identity of a file or folder, independent of its path: a copy has another identity.

    Raises:
        OSError: the file does not exist or cannot be accessed.
    """
    status = path.stat()
    return f"{status.st_dev}:{status.st_ino}"


@dataclass(frozen=True)
class RunningProcess:
    """One process of one boot, as seen from one container.

    Attributes:
        pid: its process id.
        start_ticks: its start, in clock ticks since the boot.
        boot: id of the boot.
        namespace: inode of the pid namespace: in another namespace, the same id means another process.
    """

    pid: int
    start_ticks: int
    boot: str
    namespace: int

    @classmethod
    def own(cls) -> RunningProcess:
        """This process."""
        return cls(os.getpid(), _start_ticks(os.getpid()), boot_id(), _namespace())

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs, as far as this process can see."""
        try:
            return self == RunningProcess(self.pid, _start_ticks(self.pid), boot_id(), _namespace())
        except OSError:
            return False

    @property
    def age_s(self) -> float:
        """Seconds since its start, including the time of a suspended machine."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.start_ticks / _TICKS_PER_S


def _start_ticks(pid: int) -> int:
    text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return int(text.rpartition(")")[2].split()[_START_FIELD - _FIRST_AFTER_NAME])


def _namespace() -> int:
    return (_PROC / "self" / "ns" / "pid").stat().st_ino
