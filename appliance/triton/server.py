"""One tritonserver as a child: started with the right options, waited for, proved, stopped.

It refuses to call a server started before each model is ready and a tensor has survived the way through it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from appliance import durable
from appliance.child import Child
from appliance.errors import UnavailableError
from appliance.inference.served import ServedModelSettings
from appliance.triton import log, shared_memory, sockets
from appliance.triton.environment import prepare_backends, server_environment
from appliance.triton.health import TritonHealth
from appliance.triton.locate import Installation
from appliance.triton.model_process import model_processes
from appliance.triton.options import ServerOptions, arguments, known_options, unprotected
from appliance.triton.private_files import narrow, umask_that_holds
from appliance.triton.repository import render
from appliance.triton.version import TritonVersion, check_production, warning

Say = Callable[[str], None]
LOG_NAME = "triton.log"
_POLL_S = 0.02
# Looking at all descriptors costs more than a question.
_LOOK_S = 0.5
_SERVERS_END_S = 0.2
_LOG_TAIL_BYTES = 64 << 10


@dataclass(frozen=True)
class TritonSettings:
    """What to serve and where.

    Attributes:
        models: the set.
        root: where tritonserver runs. It and its Python backend get paths relative to it, see `_within`.
        repository: the model repository to render, under `root`.
        run: folder for the log and the prepared backends, under `root`.
        sockets: the folder of its Unix sockets, under `root`.
        production: refuse a Triton with known security holes.
        start_timeout_s: how long loading may take.
        drain_s: how long requests that run when it ends may take.
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
    """The server of all models. Start it, wait for its end, start it again; one at a time."""

    def __init__(self, installation: Installation, settings: TritonSettings, say: Say) -> None:
        """Take an installation that `locate` found; `say` gets each line that a person should read."""
        self._installation = installation
        self._settings = settings
        self._say = say
        self._child: Child | None = None
        self._told_age = False
        self._owner = shared_memory.owner(settings.run)
        self.version: TritonVersion | None = installation.version
        self.log = settings.run / LOG_NAME

    @property
    def pid(self) -> int | None:
        """The process id of the running server."""
        return self._child.pid if self._child and self._child.is_running else None

    @property
    def warning(self) -> str:
        """Why this Triton is unfit for production; empty when it is fit or not yet known."""
        return warning(self.version) if self.version else ""

    def check(self) -> None:
        """Refuse what can be refused before anything is started.

        Raises:
            MissingProgramError: the version is too old for production.
            IntegrityError: others may enter the folder of its sockets.
            NoSpaceError: there is no room for tensors.
        """
        if self._settings.production and self.version:
            check_production(self.version)
        self._clear()
        sockets.prepare(self._settings.sockets)
        shared_memory.check_shared_memory(len(self._settings.models))

    async def start(self) -> None:
        """Start the server and return when each model answers.

        Raises:
            ApplianceError: it ended, or was not ready in time; the message is the real reason, and nothing runs then.
        """
        self.check()
        environment = server_environment(self._installation, os.environ)
        known = await asyncio.to_thread(known_options, self._installation.program, environment)
        if not self._told_age:
            self._told_age = True
            for line in unprotected(known):
                self._say(f"this Triton is old: {line}")
        options = self._options()
        command: list[str | Path] = [self._installation.program, *arguments(options, known)]
        settings = self._settings
        render(settings.repository, [self._model(model) for model in settings.models])
        log_start = self.log.stat().st_size if self.log.exists() else 0
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
        """Wait until the server ends, and return how.

        Triton outlives the process of a model and answers every request for it with an error. We end it then: loading
        the model again in the running server leaves its requests without an end (docs/decisions/who-ends-whom.md).
        """
        if self._child is None:
            raise UnavailableError("Triton has not been started")
        end = asyncio.create_task(self._child.wait())
        model_end = asyncio.create_task(self._child.wait_for_grandchild())
        try:
            await asyncio.wait({end, model_end}, return_when=asyncio.FIRST_COMPLETED)
            # A server that is killed takes its models along, and we may hear of that first: what counts is the server.
            await asyncio.wait({end}, timeout=_SERVERS_END_S)
            if end.done():
                return str(end.result())
            living = model_processes(self._child.pid)
            ended = [model.name for model in self._settings.models if model.name not in living]
            await self._child.kill()
            return f"the process of {', '.join(ended) or 'a model'} ended"
        finally:
            end.cancel()
            model_end.cancel()
            await asyncio.gather(end, model_end, return_exceptions=True)

    async def stop(self) -> str:
        """Let running requests finish, then end the server and clean up. Returns what went wrong; empty if nothing."""
        if self._child is None:
            return ""
        # Triton itself waits `drain_s`; a little more for it to end.
        trouble = await self._child.stop(self._settings.drain_s + 5.0)
        shared_memory.clean(self._owner)
        return trouble

    async def kill(self) -> None:
        """End the server at once."""
        if self._child is not None:
            await self._child.kill()
            shared_memory.clean(self._owner)

    def _clear(self) -> None:
        """Get rid of what a dead server of this root left."""
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
            exit_timeout_s=max(1, round(settings.drain_s)),
        )

    def _within(self, path: Path) -> Path:
        """The path as tritonserver gets it, which runs in the root.

        Its Python backend writes the paths of the stub and of the model into a line for bash, without quotes. Beneath
        the root every name is ours: what the root itself is called does not matter then.
        """
        return Path(os.path.relpath(path, self._settings.root))

    def _model(self, model: ServedModelSettings) -> ServedModelSettings:
        engine = model.engine
        if engine.plan:
            engine = replace(engine, plan=str(self._within(Path(engine.plan))))
        return replace(model, artefact=self._within(model.artefact), engine=engine)

    async def _wait_ready(self, child: Child, log_start: int, paths: set[str]) -> None:
        settings = self._settings
        ended = asyncio.ensure_future(child.wait())
        try:
            async with TritonHealth(settings.sockets) as health:
                clock = asyncio.get_running_loop().time
                next_look = clock()
                deadline = next_look + settings.start_timeout_s
                while True:
                    loading = [model.name for model in settings.models if not await health.is_ready(model.name)]
                    # One that does not know our addresses would be asked in vain, and others could reach it.
                    if not loading or clock() >= next_look:
                        next_look = clock() + _LOOK_S
                        if sockets.listens_on(child.pid, paths) and not loading:
                            break
                    if ended.done():
                        raise log.failure(self._log_since(log_start), str(self.log))
                    if clock() > deadline:
                        raise UnavailableError(
                            f"Triton did not load {', '.join(loading) or 'its models'} within "
                            f"{settings.start_timeout_s:g} s",
                            hint=f"see {self.log}",
                        )
                    await asyncio.wait({ended}, timeout=_POLL_S)
                self.version = await health.version()
                if settings.production:
                    check_production(self.version)
                for model in settings.models:
                    await health.prove_round_trip(model.name)
        finally:
            ended.cancel()
        if self.warning:
            # A record for later. Where the disk is full, the server serves without it.
            with suppress(OSError):
                durable.append(self.log, f"appliance: {self.warning}\n".encode())

    def _log_since(self, start: int) -> str:
        with self.log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            # A log that was put aside since begins anew.
            stream.seek(max(start if start <= size else 0, size - _LOG_TAIL_BYTES))
            return stream.read().decode(errors="replace")
