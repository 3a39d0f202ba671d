"""A child process that ends with us: started in a session of its own, its output in a file, its whole group ended."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT_BYTES = 16 << 20
# Looked up before any fork: the child may only call what is safe there.
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Exit:
    """How a child ended: an exit status, or the number of the signal that ended it."""

    status: int

    def __str__(self) -> str:
        if self.status >= 0:
            return f"exit status {self.status}"
        try:
            return f"ended by {signal.Signals(-self.status).name}"
        except ValueError:
            return f"ended by signal {-self.status}"


class Child:
    """One running program."""

    def __init__(self, name: str, running: asyncio.subprocess.Process) -> None:
        self.name = name
        self._running = running

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        before: Callable[[], None] | None = None,
    ) -> Child:
        """Start a program; it must be called from the main thread, whose end is the child's end.

        Args:
            name: what messages call it.
            command: program and arguments.
            log: its output is appended here; a log that has grown large is put aside first, as `<log>.1`.
            environment: its variables; None passes ours on.
            folder: where it runs; None: where we do.
            before: what it runs before its program; it must do no more than a few calls of the system.

        Raises:
            OSError: the program or the log cannot be opened.
        """
        with _open_log(log) as output:
            running = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C at the terminal reaches us alone: we say who ends first.
                start_new_session=True,
                preexec_fn=dies_with(os.getpid(), before),
            )
        return cls(name, running)

    @property
    def pid(self) -> int:
        """Its process id, which is also the id of its group."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended, as far as we have noticed."""
        return self._running.returncode is None

    async def wait(self) -> Exit:
        """Wait for its end; what it started is ended too."""
        status = await self._running.wait()
        self._signal_group(signal.SIGKILL)
        return Exit(status)

    async def wait_for_grandchild(self) -> None:
        """Wait until one of the processes that it runs now ends; for ever if the kernel cannot tell."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        descriptors = []
        try:
            for grandchild in psutil.Process(self.pid).children():
                with suppress(OSError):
                    descriptors.append(os.pidfd_open(grandchild.pid))
                    loop.add_reader(descriptors[-1], ended.set)
            await ended.wait()
        finally:
            for descriptor in descriptors:
                loop.remove_reader(descriptor)
                os.close(descriptor)

    async def stop(self, grace_s: float) -> Exit:
        """Ask it to end; after `grace_s` seconds end it."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self._running.terminate()
            with suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(self.wait(), grace_s)
        return await self.kill()

    async def kill(self) -> Exit:
        """End it and all that it started, at once."""
        self._signal_group(signal.SIGKILL)
        return await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._running.pid, number)


def _open_log(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    # It says who asked and what failed: for the box's user alone, also where an earlier version left it open.
    stream = open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115 - Path.open takes no opener
    os.fchmod(stream.fileno(), 0o600)
    return stream


def dies_with(parent: int, before: Callable[[], None] | None = None) -> Callable[[], None]:
    """What a child runs before its program, so that the end of our main thread is its end.

    Args:
        parent: our id.
        before: what else it runs then.
    """

    def in_the_child() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # The parent ended between the fork and the line above.
            os._exit(1)
        if before is not None:
            before()

    return in_the_child
