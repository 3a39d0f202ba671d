"""What one grammar may cost, and what the end of its process says of it. The kernel counts; nothing here watches."""

from __future__ import annotations

import resource
import signal
from contextlib import suppress
from pathlib import Path

from appliance.errors import ApplianceError, EngineError, RequestError
from appliance.inference.structured_output import PARAM

COMPILE_CPU_S = 3.0
STEP_CPU_S = 1.0
# A busy machine gives a process little of its time: this bounds what hangs without computing.
WALL_S = 60.0
MEMORY_BYTES = 256 << 20
_HINT = "use a simpler schema or grammar"


def bound_memory() -> None:
    """Let this process, as it is now, take `MEMORY_BYTES` more; out of memory, the system ends it before others."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, size + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def bound_time(cpu_s: float) -> None:
    """Let the kernel end this process after so many seconds of processor time, or `WALL_S` of any."""
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    signal.setitimer(signal.ITIMER_REAL, WALL_S)


def unbound_time() -> None:
    """The bounded work is done."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def why_ended(status: int, *, is_compiled: bool) -> ApplianceError:
    """The error of a completion whose grammar's process ended by itself.

    Args:
        status: an exit status, or the negative number of the signal that ended it.
        is_compiled: whether it had begun to make masks.
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
