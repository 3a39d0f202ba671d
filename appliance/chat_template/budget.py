"""What one rendering may cost. Only the process that renders is bound by it, so it can hold nobody else up."""

from __future__ import annotations

import resource
import signal

# Real templates need milliseconds. It is time of the processor, which a busy machine does not use up.
CPU_S = 1.0
MEMORY_BYTES = 512 << 20


def bind_memory() -> None:
    """Refuse this process more memory than the budget, and a core file."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def begin() -> None:
    """From now on count the time; when it is used up the kernel ends this process, whatever it does."""
    signal.setitimer(signal.ITIMER_PROF, CPU_S)


def end() -> None:
    """Count no more."""
    signal.setitimer(signal.ITIMER_PROF, 0.0)


def exceeded(returncode: int) -> bool:
    """Whether a process ended because its time was used up."""
    return returncode == -signal.SIGPROF
