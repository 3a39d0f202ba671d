"""What a box takes of its machine: memory, descriptors and threads of each of its programs, and which programs run."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.processes import family

# Heaps of allocators, caches of prompts and of tokenised texts: they reach a size once, and stay there.
MEMORY_SLACK_BYTES = 128 << 20
# Pools start a thread when all others are busy, and keep it: gRPC's, the tokeniser's, the event loop's.
THREAD_SLACK = 16
_SETTLE_S = 90.0
_MEBI = 1 << 20


@dataclass
class Footprint:
    """Sums by the name of a program; several programs may have one.

    Attributes:
        programs: how many there are.
        memory_bytes, descriptors, threads: of all of that name.
    """

    programs: Counter[str] = field(default_factory=Counter)
    memory_bytes: Counter[str] = field(default_factory=Counter)
    descriptors: Counter[str] = field(default_factory=Counter)
    threads: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, pid: int) -> Footprint:
        """Look at a program and all that it started."""
        found = cls()
        for one in family(pid):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                name = _name(one)
                figures = one.memory_info().rss, one.num_fds(), one.num_threads()
                found.programs[name] += 1
                for counter, figure in zip(
                    (found.memory_bytes, found.descriptors, found.threads), figures, strict=True
                ):
                    counter[name] += figure
        return found

    def rows(self, before: Footprint) -> list[tuple[str, str, str, str]]:
        """Program, MiB, descriptors and threads, each with what it was before."""
        return [
            (
                name if self.programs[name] == before.programs[name] == 1 else f"{name}, {self.programs[name]}",
                f"{before.memory_bytes[name] // _MEBI} → {self.memory_bytes[name] // _MEBI}",
                f"{before.descriptors[name]} → {self.descriptors[name]}",
                f"{before.threads[name]} → {self.threads[name]}",
            )
            for name in sorted(before.programs | self.programs)
        ]

    def growth(self, before: Footprint) -> list[str]:
        """What grew beyond the slack, and programs that are missing or new."""
        found = [
            f"{name}: {before.programs[name]} programs before, {self.programs[name]} now"
            for name in before.programs | self.programs
            if before.programs[name] != self.programs[name]
        ]
        for what, slack in (("descriptors", 0), ("threads", THREAD_SLACK), ("memory_bytes", MEMORY_SLACK_BYTES)):
            was, now = getattr(before, what), getattr(self, what)
            found += [
                f"{name}: {was[name]} {what} before, {now[name]} now" for name in now if now[name] > was[name] + slack
            ]
        return found


def settled(pid: int, before: Footprint) -> Footprint:
    """Look until nothing is grown, for as long as any limit of time lasts; returns the last look."""
    ends = time.monotonic() + _SETTLE_S
    while (found := Footprint.of(pid)).growth(before) and time.monotonic() < ends:
        time.sleep(0.5)
    return found


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    scripts = [Path(word).name for word in words if word.endswith(".py")]
    return scripts[0] if scripts else process.name()
