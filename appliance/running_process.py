"""Which process is meant, so that no other one is mistaken for it: not after its end, a clock step or a reboot.

Process ids are given again, and times of the wall clock move with it. The kernel's count of ticks since the boot does
not, and the boot has an id of its own. Both are read from /proc.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys" / "kernel" / "random" / "boot_id"
# proc(5): fields are counted from 1, and the second one, the program's name, may hold spaces and brackets.
_FIRST_AFTER_NAME, _START_FIELD = 3, 22
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def boot_id() -> str:
    """Drawn by the kernel at each boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def file_id(path: Path) -> str:
    """Which file or folder this is, whatever its path: a copy is another one.

    Raises:
        OSError: it is absent or may not be looked at.
    """
    status = path.stat()
    return f"{status.st_dev}:{status.st_ino}"


@dataclass(frozen=True)
class RunningProcess:
    """One process of one boot, seen from one container.

    Attributes:
        pid: its id.
        start_ticks: when it started, in clock ticks since the boot.
        boot: id of the boot.
        namespace: inode of the process ids' namespace: in another one the same id is another process.
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
        """Whether it still runs, as far as can be seen from here."""
        try:
            return self == RunningProcess(self.pid, _start_ticks(self.pid), boot_id(), _namespace())
        except OSError:
            return False

    @property
    def age_s(self) -> float:
        """Seconds since its start, those of a suspended machine among them."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.start_ticks / _TICKS_PER_S


def _start_ticks(pid: int) -> int:
    text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return int(text.rpartition(")")[2].split()[_START_FIELD - _FIRST_AFTER_NAME])


def _namespace() -> int:
    return (_PROC / "self" / "ns" / "pid").stat().st_ino
