"""The whole path: this client → gateway → Triton → engine, as `appliance up` serves it. Run by our own interpreter."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from appliance.address import Address
from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import Manifest
from appliance.derived.store import store_folder
from appliance.gateway.triton.channel import TritonChannel
from appliance.layout import Layout
from appliance.supervisor import state
from appliance.supervisor.state import Phase, UpState
from bench.assignment import Assignment
from bench.workers.arrivals import Arrival
from bench.workers.gateway_share import gateway_figures
from bench.workers.http_client import Client
from bench.workers.measure import Figures
from bench.workers.rim import work
from bench.workers.timeline import Timeline

_START_S = 120.0
_STOP_S = 60.0
_POLL_S = 0.01
# The minimum that the configuration accepts; a real model's cache is larger.
_LEAST_CACHE_BYTES = 1 << 20
_ADDRESSES = ("http_address", "grpc_address", "metrics_address")
_Result = TypeVar("_Result")


class WholePathSubject:
    """See `Subject`."""

    takes_newcomers = True

    def __init__(self, assignment: Assignment, **serve: int) -> None:
        """Start the box; `serve` are additional keys of the section [serve] of its configuration."""
        self._loop = asyncio.new_event_loop()
        self._scratch = tempfile.TemporaryDirectory(prefix="bench-")
        manifest = read_manifest(Path(assignment.model))
        self._layout = Layout(root=Path(self._scratch.name), cache=Path(self._scratch.name) / "cache")
        _prepare(self._layout, assignment, manifest, serve)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self.spawned_at: float | None = time.monotonic()
        self._up = subprocess.Popen(
            [sys.executable, "-m", "appliance.cli", "--root", str(self._layout.root), "up"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self._state = self._run(self._serving())
            address = Address.from_text(self._state.http)
            self.client = Client(address.host, address.port, manifest.model)
            self._run(self._ready())
        except BaseException:
            self.close()
            raise

    @property
    def versions(self) -> Mapping[str, str]:
        """See `Subject`."""
        return {"triton": self._state.triton_version or "unknown"}

    @property
    def processes(self) -> Sequence[int]:
        """The supervisor, the gateway, tritonserver and its stubs; not this client."""
        parent = psutil.Process(self._up.pid)
        return [parent.pid, *(child.pid for child in parent.children(recursive=True))]

    def held_bytes(self) -> None:
        """Unknown in this process."""

    def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[Timeline]:
        """See `Subject`."""

        async def together() -> list[Timeline]:
            return list(await asyncio.gather(*(self.client.complete(prompt, tokens) for prompt in prompts)))

        return self._run(together())

    def join(self, prompts: Sequence[Sequence[int]], tokens: int, newcomers: Sequence[Sequence[int]]) -> list[float]:
        """See `Subject`; the client ends the streams by closing the connections."""

        async def joined() -> list[float]:
            firsts = [asyncio.Event() for _ in prompts]
            tasks = [
                asyncio.ensure_future(self.client.complete(prompt, tokens, first))
                for prompt, first in zip(prompts, firsts, strict=True)
            ]
            try:
                await asyncio.gather(*(first.wait() for first in firsts))
                return [(await self.client.complete(newcomer, 1))[0][0] for newcomer in newcomers]
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        return self._run(joined())

    def answer(self, prompt: Sequence[int], tokens: int) -> Timeline:
        """See `Subject`."""
        return self._run(self.client.complete(prompt, tokens, to_end=True))

    def serve(self, arrivals: Sequence[Arrival]) -> list[Timeline]:
        """See `Subject`."""

        async def after(arrival: Arrival) -> Timeline:
            await asyncio.sleep(arrival.at_s)
            return await self.client.complete(arrival.prompt, arrival.tokens)

        async def together() -> list[Timeline]:
            return list(await asyncio.gather(*map(after, arrivals)))

        return self._run(together())

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Not supported: the path does not change the engine's logits."""
        raise NotImplementedError

    def gateway_figures(self, assignment: Assignment) -> Figures:
        """The gateway's overhead, see `gateway_share`; nothing if the work has no busy streams."""
        if not assignment.work.busy_streams:
            return {}

        async def measured() -> Figures:
            triton = TritonChannel(self._layout.triton_sockets)
            try:
                return await gateway_figures(self.client, triton, assignment)
            finally:
                await triton.close()

        return self._run(measured())

    def close(self) -> None:
        """Stop the box and remove its folder."""
        if self._up.poll() is None:
            self._up.send_signal(signal.SIGINT)
            try:
                self._up.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._up.kill()
                self._up.wait()
        self._log.close()
        self._scratch.cleanup()
        self._loop.close()

    def _run(self, what: Coroutine[Any, Any, _Result]) -> _Result:
        return self._loop.run_until_complete(what)

    async def _serving(self) -> UpState:
        """Wait until the box serves; returns its state."""
        async for _ in self._polls():
            found = state.read(self._layout.run)
            if found is not None and found.phase is Phase.SERVING:
                return found
        raise RuntimeError("the box did not start in time")

    async def _ready(self) -> None:
        """Wait until the gateway accepts requests."""
        async for _ in self._polls():
            if await self.client.is_ready():
                return

    async def _polls(self) -> AsyncIterator[None]:
        """Yield repeatedly while the box may still start."""
        until = time.monotonic() + _START_S
        while self._up.poll() is None and time.monotonic() < until:
            yield
            await asyncio.sleep(_POLL_S)
        self._log.seek(0)
        raise RuntimeError(f"the box did not start:\n{self._log.read().decode(errors='replace')}")


def _prepare(layout: Layout, assignment: Assignment, manifest: Manifest, serve: Mapping[str, int]) -> None:
    """Create a separate root: only the configuration, and links to the artefact and the packed graphs."""
    artefact = layout.plain_artefact(manifest.model, manifest.target, manifest.preset)
    artefact.parent.mkdir(parents=True)
    artefact.symlink_to(Path(assignment.model).resolve(), target_is_directory=True)
    if assignment.packed:
        # Otherwise the start would include the time to pack the weights, which only the first start of a box needs.
        layout.engines.symlink_to(store_folder(Path(assignment.packed).resolve()), target_is_directory=True)
    work = assignment.work
    settings = {
        "slots": work.slots,
        "max_context_tokens": work.context_tokens,
        "cache_bytes": max(_LEAST_CACHE_BYTES, work.slots * work.context_tokens * manifest.shape.cache_bytes_per_token),
        "threads": assignment.threads,
        "speculation": str(bool(work.task_tokens)).lower(),
        **serve,
    }
    lines = [f"{key} = {value}" for key, value in settings.items()]
    lines += [f'{name} = "127.0.0.1:0"' for name in _ADDRESSES]
    layout.config_file.write_text("[serve]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    os.environ.pop("APPLIANCE_ROOT", None)


if __name__ == "__main__":
    work(WholePathSubject, WholePathSubject.gateway_figures)
