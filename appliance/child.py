"""A child process that ends with us: started in a session of its own, its output in a log, its whole group ended.

Its output comes through a pipe: the log stays bounded while it runs, and a full disk is no error of the child's.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from appliance.bounded_log import BoundedLog
from appliance.within import within

_PR_SET_PDEATHSIG = 1
_PIECE_BYTES = 64 << 10
# As much as the kernel gives without privileges: a child that says much waits for nobody while we are busy.
_PIPE_BYTES = 1 << 20
_LAST_OUTPUT_S = 1.0
# A program that leaves SIGTERM to the kernel ends by it.
_AS_ASKED = (0, -signal.SIGTERM)
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

    def __init__(self, name: str, running: asyncio.subprocess.Process, output: _Output) -> None:
        self.name = name
        self._running = running
        self._output = output

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
            log: its output is appended here, see BoundedLog.
            environment: its variables; None passes ours on.
            folder: where it runs; None: where we do.
            before: what it runs before its program; it must do no more than a few calls of the system.

        Raises:
            OSError: the program or the log cannot be opened.
        """
        output = _Output(BoundedLog(log))
        try:
            running = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output.end,
                stderr=output.end,
                # Ctrl-C at the terminal reaches us alone: we say who ends first.
                start_new_session=True,
                preexec_fn=dies_with(os.getpid(), before),
            )
        except BaseException:
            output.close()
            raise
        finally:
            os.close(output.end)
        return cls(name, running, output)

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
        await self._output.wait_complete()
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

    async def stop(self, grace_s: float) -> str:
        """Ask it to end; after `grace_s` seconds end it. Returns what went wrong; empty if nothing did."""
        if not self.is_running:
            await self.kill()
            return ""
        with suppress(ProcessLookupError):
            self._running.terminate()
        try:
            ended = await within(grace_s, self.wait())
        except asyncio.TimeoutError:
            await self.kill()
            return f"it had not ended {grace_s:g} s after it was asked to"
        return "" if ended.status in _AS_ASKED else str(ended)

    async def kill(self) -> Exit:
        """End it and all that it started, at once."""
        self._signal_group(signal.SIGKILL)
        return await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._running.pid, number)


class _Output:
    """The pipe from a child to its log. `end` is the child's end, which whoever started it closes here."""

    def __init__(self, log: BoundedLog) -> None:
        self._log = log
        self._reading, self.end = os.pipe2(os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._reading, False)
        self._complete = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reading, self._read)

    async def wait_complete(self) -> None:
        """Wait for the end of the output. A process that left the child's group may hold it open: that is not ours."""
        with suppress(asyncio.TimeoutError):
            await within(_LAST_OUTPUT_S, self._complete.wait())
        self.close()

    def close(self) -> None:
        """Read no more."""
        if not self._complete.is_set():
            self._complete.set()
            self._loop.remove_reader(self._reading)
            os.close(self._reading)
            self._log.close()

    def _read(self) -> None:
        with suppress(BlockingIOError):
            piece = os.read(self._reading, _PIECE_BYTES)
            if piece:
                self._log.write(piece)
            else:
                self.close()


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
