"""The resource limits of one rendering. They apply only to the process that renders."""

from __future__ import annotations

import resource
import signal

# Real templates need milliseconds. This is CPU time, so a busy machine does not use it up.
CPU_S = 1.0
MEMORY_BYTES = 512 << 20


def bind_memory() -> None:
    """Limit the memory of this process to the budget, and disable core files."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def begin() -> None:
    """Start the CPU time limit. If it is exceeded, the kernel ends this process."""
    signal.setitimer(signal.ITIMER_PROF, CPU_S)


def end() -> None:
    """Stop the CPU time limit."""
    signal.setitimer(signal.ITIMER_PROF, 0.0)


def exceeded(returncode: int) -> bool:
    """Whether a process ended because it exceeded the CPU time limit."""
    return returncode == -signal.SIGPROF
