"""Keeps Triton and the gateway running: starts both, restarts a crashed one, drains both at the end.

This file alone decides the order. The gateway ends first, so that no client is connected to a gateway without Triton.
"""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from appliance.errors import ApplianceError, ForcedEndError
from appliance.supervisor import state
from appliance.supervisor.backoff import Backoff
from appliance.supervisor.progress import Progress
from appliance.supervisor.state import Phase, UpState
from appliance.supervisor.watchdog import Watchdog

Say = Callable[[str], None]
INTERRUPTED = 130
_SETTLE_S = 5.0
_POLL_S = 0.05
_NOTE_S = 5.0


class Service(Protocol):
    """A child process that the supervisor runs."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""

    def check(self) -> None:
        """Check all that can be checked before the start."""

    async def start(self) -> None:
        """Start the service and return when it answers."""

    async def wait(self) -> str:
        """Wait until the service ends; returns how it ended."""

    async def stop(self) -> str:
        """Drain and end the service; returns what went wrong, or an empty string."""

    async def kill(self) -> None:
        """End the service immediately."""


@dataclass(frozen=True)
class Part:
    """A service of the box.

    Attributes:
        name: its name in messages.
        service: see Service.
        is_alive: whether it answers, for its watchdog.
        may_be_busy: while it computes without answering, the watchdog waits longer before it ends the service.
    """

    name: str
    service: Service
    is_alive: Callable[[], Coroutine[Any, Any, bool]]
    may_be_busy: bool = False


class _Kept:
    """A part that the supervisor keeps running, with its number of restarts."""

    def __init__(self, part: Part) -> None:
        self.name = part.name
        self.service = part.service
        progress = Progress(lambda: part.service.pid if part.may_be_busy else None)
        self.watchdog = Watchdog(part.is_alive, progress.is_busy)
        self.backoff = Backoff()
        self.restarts = 0


class Supervisor:
    """One run of the box, from the start to the end of the drain."""

    def __init__(
        self,
        run: Path,
        describe: Callable[[], UpState],
        triton: Part,
        gateway: Part,
        is_ready: Callable[[], Coroutine[Any, Any, bool]],
        say: Say,
    ) -> None:
        """Take both parts; neither has been started.

        Args:
            run: folder of the state file.
            describe: returns the state to write; the supervisor adds phase, process ids and restarts.
            triton: the part that ends last.
            gateway: the part that ends first.
            is_ready: whether the box as a whole accepts requests.
            say: receives each line for the person who runs `up`.
        """
        self._run = run
        self._describe = describe
        self._triton = _Kept(triton)
        self._gateway = _Kept(gateway)
        self._is_ready = is_ready
        self._say = say
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._phase = Phase.STARTING
        self._is_noted = True

    async def run(self, ready: Callable[[], None]) -> int:
        """Serve until a signal; returns the exit status.

        Args:
            ready: called once, when both parts answer.

        Raises:
            ApplianceError: the first start failed; no process is left running.
            ForcedEndError: all processes have ended, but at least one had to be killed.
            OSError: the first state file cannot be written.
        """
        loop = asyncio.get_running_loop()
        signals = [signal.SIGINT, signal.SIGTERM]
        # nohup ignores SIGHUP: then the box outlives the terminal.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signals.append(signal.SIGHUP)
        for number in signals:
            loop.add_signal_handler(number, self._on_signal)
        try:
            self._write()
            if await self._start_both():
                self._note(Phase.SERVING)
                # The reader may have gone, or the output's disk may be full. The box continues to serve.
                with suppress(OSError):
                    ready()
                await self._keep_both()
            return await self._drain()
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
            await self._kill_both()
            # A state file that remains names a process that has ended; readers detect this.
            with suppress(OSError):
                state.remove(self._run)

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    async def _start_both(self) -> bool:
        """Start both parts concurrently; False when a signal came first."""
        # Both checks come before both starts: a taken port of the gateway fails before Triton loads the model.
        for kept in (self._triton, self._gateway):
            kept.service.check()
        starts = [asyncio.create_task(kept.service.start()) for kept in (self._triton, self._gateway)]
        stop = asyncio.create_task(self._stop.wait())
        try:
            waiting: set[asyncio.Task[Any]] = {*starts, stop}
            while not all(start.done() for start in starts) and not stop.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stop}:
                    task.result()
            if not stop.done():
                await self._settle()
            return not stop.done()
        finally:
            await _cancelled(*starts, stop)

    async def _keep_both(self) -> None:
        """Restart each part that ends, until a signal comes."""
        keepers = [asyncio.create_task(self._keep(kept)) for kept in (self._triton, self._gateway)]
        keepers.append(asyncio.create_task(self._keep_noted()))
        stop = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait({*keepers, stop}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _cancelled(*keepers, stop)

    async def _keep(self, kept: _Kept) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            ended = await self._until_end(kept)
            delay = kept.backoff.delay_s(time.monotonic() - started)
            while True:
                when = f"in {delay:g} s" if delay else "now"
                self._tell(f"{kept.name} stopped working ({ended}); starting it again {when}")
                kept.restarts += 1
                self._note(Phase.RESTARTING)
                await asyncio.sleep(delay)
                try:
                    await kept.service.start()
                except (ApplianceError, OSError, subprocess.SubprocessError) as error:
                    ended = str(error)
                    delay = kept.backoff.delay_s(0.0)
                else:
                    break
            await self._settle()
            self._tell(f"{kept.name} is back")
            self._note(Phase.SERVING)

    async def _until_end(self, kept: _Kept) -> str:
        """Wait until the service ends or hangs; returns the cause."""
        end = asyncio.create_task(kept.service.wait())
        hang = asyncio.create_task(kept.watchdog.wait())
        try:
            await asyncio.wait({end, hang}, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                return end.result()
            await kept.service.kill()
            return hang.result()
        finally:
            await _cancelled(end, hang)

    async def _settle(self) -> None:
        """Wait up to `_SETTLE_S` until the gateway has detected that Triton answers."""
        deadline = time.monotonic() + _SETTLE_S
        # The gateway is another process: only repeated requests show its state.
        while not await self._is_ready() and not self._stop.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)

    async def _drain(self) -> int:
        self._note(Phase.DRAINING)
        self._tell("stopping: running requests may finish; press Ctrl-C again to end them now")
        drain = asyncio.create_task(self._stop_in_order())
        now = asyncio.create_task(self._stop_now.wait())
        try:
            await asyncio.wait({drain, now}, return_when=asyncio.FIRST_COMPLETED)
            if drain.done():
                trouble = drain.result()
                if trouble:
                    raise ForcedEndError(
                        "; ".join(trouble), hint=f"running requests may have been cancelled; see {self._run}"
                    )
                return 0
            return INTERRUPTED
        finally:
            await _cancelled(drain, now)

    async def _stop_in_order(self) -> list[str]:
        """Stop the gateway, then Triton; returns one line for each that did not stop when asked."""
        found = {kept.name: await kept.service.stop() for kept in (self._gateway, self._triton)}
        return [f"{name} did not stop when it was asked to ({why})" for name, why in found.items() if why]

    async def _kill_both(self) -> None:
        for kept in (self._gateway, self._triton):
            await kept.service.kill()

    async def _keep_noted(self) -> None:
        """Write the state file again if the last attempt failed, for example because the disk was full."""
        while True:
            await asyncio.sleep(_NOTE_S)
            if not self._is_noted:
                self._note(self._phase)

    def _tell(self, line: str) -> None:
        """Report a line. If the terminal is gone or the disk of the output is full, the box continues to serve."""
        with suppress(OSError):
            self._say(line)

    def _note(self, phase: Phase) -> None:
        """Write the state file if the disk allows it: the box itself does not depend on the file."""
        self._phase = phase
        try:
            self._write()
        except OSError as error:
            if self._is_noted:
                self._tell(f"the state file cannot be written: {error}; the box continues to serve")
            self._is_noted = False
        else:
            self._is_noted = True

    def _write(self) -> None:
        current = dataclasses.replace(
            self._describe(),
            phase=self._phase,
            triton_pid=self._triton.service.pid,
            gateway_pid=self._gateway.service.pid,
            triton_restarts=self._triton.restarts,
            gateway_restarts=self._gateway.restarts,
        )
        state.write(self._run, current)


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until each has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
