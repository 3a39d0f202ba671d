"""Cuts the power before any one system call that changes a folder, and takes from the disk what was not synced by then.

A process that is killed loses nothing that it wrote; a machine does. So after the kill the files that were written and
not synced are emptied, and names whose folder was not synced since are taken back.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any


class Loss(Enum):
    """What of the unsynced is lost: a disk may write in any order."""

    NOTHING = "nothing"
    ALL = "all"
    # The folder that a link names may be lost, and the link not.
    ALL_BUT_LINKS = "all but links"


class _Disk:
    """Follows what this process does below a folder, from Python's audit events."""

    def __init__(self, folder: Path, cut_at: int, loss: Loss) -> None:
        self._folder = f"{folder}/"
        self._left = cut_at
        self._loss = loss
        self._written: set[str] = set()
        # By path: where a link that was there led; None where nothing was.
        self._named: dict[str, str | None] = {}
        # What would be lost is taken away by us: the real disk need not hurry.
        os.fsync = self._sync
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self._opening(args[0])
        elif event in {"os.mkdir", "os.remove", "os.rmdir"}:
            self._step(_path(args[0], args[-1]), makes=event == "os.mkdir")
        elif event == "os.symlink":
            self._step(_path(args[1], args[2]), makes=True)
        elif event == "os.rename":
            self._renaming(_path(args[0], args[2]), _path(args[1], args[3]))
        elif event in {"os.link", "os.truncate"}:
            raise NotImplementedError(event)

    def _opening(self, name: Any) -> None:
        if isinstance(name, int):
            return
        path = _path(name, -1)
        if self._step(path, makes=True):
            self._written.add(path)

    def _renaming(self, old: str, new: str) -> None:
        before = _link(new)
        if not self._step(new, makes=False):
            return
        self._named[new] = before
        self._written = {_moved(path, old, new) for path in self._written}
        self._named = {_moved(path, old, new): was for path, was in self._named.items() if path != old}

    def _sync(self, descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        self._step(path, makes=False)
        self._written.discard(path)
        self._named = {name: was for name, was in self._named.items() if str(Path(name).parent) != path}

    def _step(self, path: str, *, makes: bool) -> bool:
        if not path.startswith(self._folder) and f"{path}/" != self._folder:
            return False
        self._left -= 1
        if self._left == 0:
            self.lose()
            os.kill(os.getpid(), signal.SIGKILL)
        if makes and not os.path.lexists(path):
            self._named[path] = None
        return True

    def lose(self) -> None:
        """Take from the disk what may be lost when the power goes now."""
        # What comes now is no work of the process any more.
        self._folder = "nothing is below this"
        if self._loss is not Loss.NOTHING:
            for path in self._written:
                if Path(path).exists():
                    Path(path).write_bytes(b"")
            for path, was in reversed(self._named.items()):
                if not (self._loss is Loss.ALL_BUT_LINKS and Path(path).is_symlink()):
                    _take_back(Path(path), was)


def run_with_cut(change: Callable[[], object], folder: Path, cut_at: int, loss: Loss) -> bool:
    """Run the change in a fork of this process; returns whether it ended before the cut. Then the power goes too.

    Args:
        change: what to run.
        folder: what it changes.
        cut_at: the number of the system call before which the power goes, from 1.
        loss: see Loss.
    """
    child = os.fork()
    if child == 0:
        try:
            disk = _Disk(folder, cut_at, loss)
            change()
            disk.lose()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - it must not go on as its parent does
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the change ended with {status}")
    return status == 0


def _path(name: Any, folder: int) -> str:
    path = os.fsdecode(name)
    return path if folder == -1 else str(Path(f"/proc/self/fd/{folder}").readlink() / path)


def _link(path: str) -> str | None:
    return str(Path(path).readlink()) if Path(path).is_symlink() else None


def _moved(path: str, old: str, new: str) -> str:
    return new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path


def _take_back(path: Path, was: str | None) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
    if was is not None:
        path.symlink_to(was)
