"""One tritonserver as a child process: start it, wait until it is ready, test it, stop it.

A start succeeds only when each model is ready and a test request has returned undamaged tensors.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import durable
from appliance.child import Child, Exit
from appliance.errors import ApplianceError, UnavailableError
from appliance.inference.served import ServedModelSettings
from appliance.triton import log, shared_memory, sockets
from appliance.triton.environment import prepare_backends, server_environment
from appliance.triton.locate import Installation
from appliance.triton.model_process import model_processes
from appliance.triton.options import ServerOptions, arguments, known_options, unprotected
from appliance.triton.private_files import narrow, umask_that_holds
from appliance.triton.version import TritonVersion, check_production, warning

if TYPE_CHECKING:
    from appliance.triton.health import TritonHealth

Say = Callable[[str], None]
# Reports that the process of a model has ended; returns whether the model will be loaded again.
Revive = Callable[[str], Awaitable[bool]]
LOG_NAME = "triton.log"
_POLL_S = 0.02
# Reading all file descriptors costs more than a readiness request.
_LOOK_S = 0.5
_SERVERS_END_S = 0.2
# How long the process of a model that was loaded later is not watched yet.
_NEW_PROCESSES_S = 1.0
# How long a model may remain without a process after the gateway agreed to load it again: it is unloaded before.
_RELOAD_S = 10.0
_LOG_TAIL_BYTES = 64 << 10
# If a model ends with running requests, Triton never releases it. After several such reloads, Triton aborts.
_MAX_RELOADS = 1


@dataclass(frozen=True)
class TritonSettings:
    """The models and folders of the server, and its time limits.

    Attributes:
        models: the models to serve.
        root: tritonserver's working directory. It and its Python backend get paths relative to it, see `_within`.
        repository: the model repository to render, under `root`.
        run: folder for the log and the prepared backends, under `root`.
        sockets: the folder of its Unix sockets, under `root`.
        production: refuse a Triton with known vulnerabilities.
        start_timeout_s: limit for loading the models, in seconds.
        drain_s: seconds for running requests to finish when the server ends.
    """

    models: tuple[ServedModelSettings, ...]
    root: Path
    repository: Path
    run: Path
    sockets: Path
    production: bool = False
    start_timeout_s: float = 300.0
    drain_s: float = 30.0


class TritonServer:
    """The server of all models. It can be started again after it ended; only one runs at a time."""

    def __init__(self, installation: Installation, settings: TritonSettings, say: Say, revive: Revive) -> None:
        """Create a server that does not run yet.

        Args:
            installation: what `locate` found.
            settings: see TritonSettings.
            say: receives each line for the person who runs `up`.
            revive: see Revive.
        """
        self._installation = installation
        self._settings = settings
        self._say = say
        self._revive = revive
        # Models whose process ended since the start: when they were last reported.
        self._reloads: dict[str, float] = {}
        self._reload_count = 0
        self._child: Child | None = None
        self._told_age = False
        self._owner = shared_memory.owner(settings.run)
        self.version: TritonVersion | None = installation.version
        self.log = settings.run / LOG_NAME

    @property
    def _starting(self) -> tuple[ServedModelSettings, ...]:
        """The models to load at the start."""
        return tuple(model for model in self._settings.models if not model.on_demand)

    @property
    def pid(self) -> int | None:
        """The process id of the running server."""
        return self._child.pid if self._child and self._child.is_running else None

    @property
    def warning(self) -> str:
        """Why this Triton is unfit for production; empty if it is fit, or its version is not known yet."""
        return warning(self.version) if self.version else ""

    def check(self) -> None:
        """Check all that can be checked before the start.

        Raises:
            MissingProgramError: the version is too old for production.
            IntegrityError: other users can enter the folder of its sockets.
            NoSpaceError: /dev/shm has too little free space for tensors.
        """
        if self._settings.production and self.version:
            check_production(self.version)
        self._clear()
        sockets.prepare(self._settings.sockets)
        shared_memory.check_shared_memory(len(self._settings.models))

    async def start(self) -> None:
        """Start the server and return when each model answers.

        Raises:
            ApplianceError: the server ended or was not ready in time; the message has the cause. No process is left
                running.
        """
        try:
            await self._start()
        except ApplianceError:
            # Its locks with the processes of models have races: rarely, it aborts when a model cannot be loaded.
            if self._child is None or (await self._child.wait()).status != -signal.SIGABRT:
                raise
            self._say("Triton aborted while it started; starting it again")
            await self._start()

    async def _start(self) -> None:
        self.check()
        environment = server_environment(self._installation, os.environ)
        known = await asyncio.to_thread(known_options, self._installation.program, environment)
        # The gateway's process starts while this one loads Triton's messages.
        from appliance.triton.repository import render  # noqa: PLC0415

        if not self._told_age:
            self._told_age = True
            for line in unprotected(known):
                self._say(f"this Triton is old: {line}")
        options = self._options()
        command: list[str | Path] = [self._installation.program, *arguments(options, known)]
        settings = self._settings
        render(settings.repository, [self._model(model) for model in settings.models])
        log_start = self.log.stat().st_size if self.log.exists() else 0
        self._reloads.clear()
        self._reload_count = 0
        self._child = await Child.start(
            "Triton", command, self.log, environment, settings.root, before=umask_that_holds()
        )
        try:
            await self._wait_ready(self._child, log_start, options.paths)
            if narrow(shared_memory.SHARED_MEMORY, options.shared_memory_prefix):
                self._say(
                    "this kernel cannot prevent Triton from opening its shared memory to other users; "
                    "the box has closed it now"
                )
        except BaseException:
            await self._child.kill()
            shared_memory.clean(self._owner)
            raise

    async def wait(self) -> str:
        """Wait until the server ends; returns how it ended.

        If the process of a model ends without an order, Triton stays alive and answers every request for this model
        with an error. If there are other models, the gateway then loads this one again, but only once. Otherwise this
        method ends Triton (docs/decisions/who-ends-whom.md).
        """
        if self._child is None:
            raise UnavailableError("Triton has not been started")
        end = asyncio.create_task(self._child.wait())
        try:
            while not end.done():
                await self._until_a_model_ends(self._child, end)
                if end.done():
                    break
                dead = await self._dead_models(self._child)
                if dead and not all([await self._is_reloaded(model) for model in dead]):
                    await self._child.kill()
                    return f"the process of {', '.join(dead)} ended"
            return str(end.result())
        finally:
            end.cancel()
            await asyncio.gather(end, return_exceptions=True)

    async def _until_a_model_ends(self, child: Child, end: asyncio.Task[Exit]) -> None:
        """Return when the server or the process of a model has ended, or when there may be new processes."""
        model_end = asyncio.create_task(child.wait_for_grandchild())
        try:
            await asyncio.wait({end, model_end}, timeout=_NEW_PROCESSES_S, return_when=asyncio.FIRST_COMPLETED)
            if model_end.done():
                # The models of a killed server end with it, perhaps before we see its own end: wait for that briefly.
                await asyncio.wait({end}, timeout=_SERVERS_END_S)
        finally:
            model_end.cancel()
            await asyncio.gather(model_end, return_exceptions=True)

    async def _is_reloaded(self, model: str) -> bool:
        """Whether a model whose process has ended will be loaded again, without the end of the server."""
        now = asyncio.get_running_loop().time()
        if model in self._reloads and now - self._reloads[model] < _RELOAD_S:
            return True
        if len(self._settings.models) == 1 or self._reload_count == _MAX_RELOADS or not await self._revive(model):
            return False
        self._reload_count += 1
        self._reloads[model] = now
        self._say(f"the process of {model} ended; the model is loaded again")
        return True

    async def _dead_models(self, child: Child) -> list[str]:
        """The models that Triton reports as ready although their process has ended. Unloaded models are not ready."""
        from appliance.triton.health import TritonHealth  # noqa: PLC0415 - see start

        missing = [model.name for model in self._settings.models if model.name not in model_processes(child.pid)]
        try:
            async with TritonHealth(self._settings.sockets) as health:
                ready = [name for name in missing if await health.is_ready(name)]
        except OSError:
            # Its sockets are gone: nobody can ask it anything.
            return missing
        # A model that was just loaded has a process now.
        return [name for name in ready if name not in model_processes(child.pid)]

    async def stop(self) -> str:
        """Let running requests finish, end the server and clean up. Returns what went wrong, or an empty string."""
        if self._child is None:
            return ""
        if self._reload_count:
            # It would wait for requests that a dead process never ends. The gateway has none any more.
            await self.kill()
            return ""
        # Triton itself drains for `drain_s`; the extra time is for its shutdown.
        trouble = await self._child.stop(self._settings.drain_s + 5.0)
        shared_memory.clean(self._owner)
        return trouble

    async def kill(self) -> None:
        """End the server immediately."""
        if self._child is not None:
            await self._child.kill()
            shared_memory.clean(self._owner)

    def _clear(self) -> None:
        """Remove what a dead server of this root left behind."""
        orphans = shared_memory.end_orphans(self._owner)
        if orphans:
            self._say(f"stopped {orphans} processes of an earlier run")
        removed = shared_memory.clean(self._owner)
        if removed:
            self._say(f"removed {len(removed)} files of an earlier run from /dev/shm")

    def _options(self) -> ServerOptions:
        settings = self._settings
        return ServerOptions(
            repository=self._within(settings.repository),
            backends=self._within(prepare_backends(self._installation, settings.run / "backends")),
            sockets=self._within(settings.sockets),
            shared_memory_prefix=shared_memory.fresh_prefix(self._owner),
            models=tuple(model.name for model in self._starting),
            exit_timeout_s=max(1, round(settings.drain_s)),
        )

    def _within(self, path: Path) -> Path:
        """The path relative to the root, which is tritonserver's working directory.

        Its Python backend inserts the paths of the stub and of the model into a bash command without quotes. The box
        chooses all names below the root; with relative paths, the name of the root itself does not matter.
        """
        return Path(os.path.relpath(path, self._settings.root))

    def _model(self, model: ServedModelSettings) -> ServedModelSettings:
        engine = model.engine
        if engine.plan:
            engine = replace(engine, plan=str(self._within(Path(engine.plan))))
        return replace(model, artefact=self._within(model.artefact), engine=engine)

    async def _wait_ready(self, child: Child, log_start: int, paths: set[str]) -> None:
        # Triton loads the models meanwhile.
        from appliance.triton.health import TritonHealth  # noqa: PLC0415

        ended = asyncio.ensure_future(child.wait())
        try:
            async with TritonHealth(self._settings.sockets) as health:
                failed = await self._wait_loaded(health, child, ended, log_start, paths)
                self.version = await health.version()
                if self._settings.production:
                    check_production(self.version)
                for name, reason in failed.items():
                    self._say(f"warning: {name} cannot be loaded, the box tries again: {log.shortened(reason)}")
                for model in self._starting:
                    if model.name in failed:
                        continue
                    if model.dimensions:
                        await health.prove_pooling(model.name, model.task, model.dimensions)
                    else:
                        await health.prove_round_trip(model.name)
        finally:
            ended.cancel()
        if self.warning:
            # This line is for later diagnosis. If the disk is full, the server serves without it.
            with suppress(OSError):
                durable.append(self.log, f"appliance: {self.warning}\n".encode())

    async def _wait_loaded(
        self, health: TritonHealth, child: Child, ended: asyncio.Future[Exit], log_start: int, paths: set[str]
    ) -> dict[str, str]:
        """Wait until the server listens and each model is loaded or has failed; returns why models failed.

        Raises:
            ApplianceError: the server ended, no model could be loaded, or it took too long.
        """
        clock = asyncio.get_running_loop().time
        next_look = clock()
        deadline = next_look + self._settings.start_timeout_s
        failed: dict[str, str] = {}
        while True:
            waited = [model.name for model in self._starting if model.name not in failed]
            loading = [name for name in waited if not await health.is_ready(name)]
            # A server that ignores our addresses never becomes ready there, and others could reach it.
            if not loading or clock() >= next_look:
                next_look = clock() + _LOOK_S
                if sockets.listens_on(child.pid, paths) and not loading:
                    return failed
                failed = await health.failures() if loading else failed
            if ended.done() or (self._starting and len(failed) == len(self._starting)):
                raise log.failure(self._log_since(log_start), str(self.log))
            if clock() > deadline:
                raise UnavailableError(
                    f"Triton did not load {', '.join(loading) or 'its models'} within "
                    f"{self._settings.start_timeout_s:g} s",
                    hint=f"see {self.log}",
                )
            await asyncio.wait({ended}, timeout=_POLL_S)

    def _log_since(self, start: int) -> str:
        with self.log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            # If the log was rotated meanwhile, the new log starts at 0.
            stream.seek(max(start if start <= size else 0, size - _LOG_TAIL_BYTES))
            return stream.read().decode(errors="replace")
