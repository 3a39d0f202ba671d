"""A program and all that it started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import psutil

_T = TypeVar("_T")


def family(pid: int) -> list[psutil.Process]:
    """The process and its descendants; any of them may end while they are looked at."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def ask(question: Callable[[], Sequence[_T]]) -> Sequence[_T]:
    """The answer of a process, as `process.cmdline`; nothing when it has ended."""
    try:
        return question()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ()


def forks(pid: int, word: str) -> list[psutil.Process]:
    """Descendants that have the word on their command line, as their parent has."""
    found = family(pid)
    hosts = {process.pid for process in found if word in ask(process.cmdline)}
    return [process for process in found if process.pid in hosts and _parent(process) in hosts]


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None
