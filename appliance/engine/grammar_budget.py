"""The resource limits of one grammar's process, and the errors for exceeding them. The kernel enforces the limits."""

from __future__ import annotations

import resource
import signal
from contextlib import suppress
from pathlib import Path

from appliance.errors import ApplianceError, EngineError, RequestError
from appliance.inference.structured_output import PARAM

COMPILE_CPU_S = 3.0
STEP_CPU_S = 1.0
# Limits a process that hangs without computing. It is long, because on a busy machine a process gets little CPU time.
WALL_S = 60.0
MEMORY_BYTES = 256 << 20
_HINT = "use a simpler schema or grammar"


def bound_memory() -> None:
    """Limit this process to `MEMORY_BYTES` more memory than now, and let the kernel end it first if memory runs out."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, size + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def bound_time(cpu_s: float) -> None:
    """Let the kernel end this process after `cpu_s` seconds of processor time, or `WALL_S` seconds of real time."""
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    signal.setitimer(signal.ITIMER_REAL, WALL_S)


def unbound_time() -> None:
    """Remove the time limits."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def why_ended(status: int, *, is_compiled: bool) -> ApplianceError:
    """The error of a completion whose grammar's process ended unexpectedly.

    Args:
        status: an exit status, or the negative number of the signal that ended the process.
        is_compiled: whether the process had compiled the grammar and computed a mask.
    """
    work, cpu_s = ("a token", STEP_CPU_S) if is_compiled else ("compiling it", COMPILE_CPU_S)
    if status == -signal.SIGPROF:
        return _over(f"{work} takes more than {cpu_s:g} s of processor time")
    if status == -signal.SIGALRM:
        return _over(f"{work} takes more than {WALL_S:g} s")
    if status == -signal.SIGABRT:
        return _over(f"{work} takes more than {MEMORY_BYTES >> 20} MiB of memory")
    if status == -signal.SIGSEGV:
        return _over("it is nested too deeply")
    return EngineError(f"the process of the request's grammar ended with status {status}", hint="try again")


def _over(reason: str) -> RequestError:
    return RequestError(f"{PARAM} cannot be enforced: {reason}", hint=_HINT, param=PARAM)
