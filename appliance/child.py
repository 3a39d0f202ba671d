"""A child process that ends with its parent: it has its own session and log, and its whole process group is ended.

Its output goes through a pipe: the log has a size limit, and a full disk causes no error in the child.
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
# The maximum without privileges: a child with much output does not block while we are busy.
_PIPE_BYTES = 1 << 20
_LAST_OUTPUT_S = 1.0
# A program that does not handle SIGTERM is ended by it.
_AS_ASKED = (0, -signal.SIGTERM)
# Loaded before any fork: after a fork, the child may call only async-signal-safe functions.
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
        """Start a program. Call this from the main thread: the child ends when that thread ends.

        Args:
            name: its name in messages.
            command: program and arguments.
            log: its output is appended here, see BoundedLog.
            environment: its environment variables; None means ours.
            folder: its working directory; None means ours.
            before: called in the child before its program; it must make only a few system calls.

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
                # Ctrl-C on the terminal reaches only the parent, which decides the order of shutdown.
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
        """The child's process id, which is also the id of its group."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Whether the child runs, as far as the parent has noticed."""
        return self._running.returncode is None

    async def wait(self) -> Exit:
        """Wait until the child ends, then end the rest of its process group."""
        status = await self._running.wait()
        self._signal_group(signal.SIGKILL)
        await self._output.wait_complete()
        return Exit(status)

    async def wait_for_grandchild(self) -> None:
        """Wait until one of the child's current children ends; without pidfds, wait for ever.

        A child of it that has ended before, and that it does not reap, does not count.
        """
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        descriptors = []
        try:
            for grandchild in psutil.Process(self.pid).children():
                with suppress(OSError, psutil.Error):
                    if grandchild.status() == psutil.STATUS_ZOMBIE:
                        continue
                    descriptors.append(os.pidfd_open(grandchild.pid))
                    loop.add_reader(descriptors[-1], ended.set)
            await ended.wait()
        finally:
            for descriptor in descriptors:
                loop.remove_reader(descriptor)
                os.close(descriptor)

    async def stop(self, grace_s: float) -> str:
        """Send SIGTERM; after `grace_s` seconds, kill the group. Returns what went wrong, or an empty string."""
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
        """Kill the child and its process group immediately."""
        self._signal_group(signal.SIGKILL)
        return await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._running.pid, number)


class _Output:
    """The pipe from a child to its log. `end` is the child's end; the parent closes its copy after the start."""

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
        """Wait for the end of the output, but only briefly: a process that left the child's group may hold it open."""
        with suppress(asyncio.TimeoutError):
            await within(_LAST_OUTPUT_S, self._complete.wait())
        self.close()

    def close(self) -> None:
        """Stop reading."""
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
    """Return a preexec function, which makes the child end with the parent's main thread.

    Args:
        parent: the parent's process id.
        before: called in the child too.
    """

    def in_the_child() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # The parent ended between fork and prctl.
            os._exit(1)
        if before is not None:
            before()

    return in_the_child
