"""The gateway as a child process of the supervisor: start, wait, stop. This module does not import the gateway."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass

from appliance import http
from appliance.address import Address
from appliance.child import Child
from appliance.errors import EngineError, UnavailableError, with_exit_code
from appliance.inference.served import ServedModelSettings
from appliance.layout import Layout

LOG_NAME = "gateway.log"
_POLL_S = 0.02
_START_TIMEOUT_S = 60.0
_TAIL_BYTES = 4096


@dataclass(frozen=True)
class GatewaySettings:
    """The addresses, models and settings of the gateway.

    Attributes:
        http, grpc, metrics: the gateway's addresses.
        triton_http: where it serves Triton's own HTTP API; None switches it off.
        models: the models to serve.
        layout: the box's folders, for keys, certificate, sockets and log.
        config: the sections of appliance.toml for the gateway, as JSON.
        drain_s: seconds for running requests to finish when it stops.
    """

    http: Address
    grpc: Address
    metrics: Address
    models: tuple[ServedModelSettings, ...]
    layout: Layout
    config: str
    triton_http: Address | None = None
    drain_s: float = 30.0


class GatewayServer:
    """The gateway's process. It can be started again after it ended; only one runs at a time."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._child: Child | None = None
        self.log = settings.layout.run / LOG_NAME

    @property
    def pid(self) -> int | None:
        """The process id of the running gateway."""
        return self._child.pid if self._child and self._child.is_running else None

    def check(self) -> None:
        """Check all that can be checked before the start.

        Raises:
            PortTakenError: another program listens on one of the addresses.
        """
        self._settings.http.check_free("the OpenAI API")
        self._settings.grpc.check_free("the gRPC API")
        self._settings.metrics.check_free("the metrics")
        if self._settings.triton_http:
            self._settings.triton_http.check_free("Triton's HTTP API")

    async def start(self) -> None:
        """Start the gateway and return when it answers. It does not wait for Triton.

        Raises:
            ApplianceError: it ended early; the type follows its exit status, EngineError for an unknown status.
            UnavailableError: it did not answer in time.
        """
        self.check()
        settings = self._settings
        command = [
            sys.executable,
            # Isolated mode: the current folder and PYTHON* variables do not affect the gateway.
            "-I",
            "-m",
            "appliance.gateway",
            f"--triton={settings.layout.triton_sockets}",
            f"--http={settings.http}",
            f"--grpc={settings.grpc}",
            f"--metrics={settings.metrics}",
            *([f"--triton-http={settings.triton_http}"] if settings.triton_http else []),
            *(word for model in settings.models for word in _words(model)),
            f"--drain={settings.drain_s:g}",
            f"--root={settings.layout.root}",
            f"--config={settings.config}",
        ]
        self._child = await Child.start("gateway", command, self.log)
        try:
            await self._wait_live(self._child)
        except BaseException:
            await self._child.kill()
            raise

    async def wait(self) -> str:
        """Wait until the gateway ends; returns how it ended."""
        if self._child is None:
            raise UnavailableError("the gateway has not been started")
        return str(await self._child.wait())

    async def stop(self) -> str:
        """Let running requests finish, then end the gateway. Returns what went wrong, or an empty string."""
        if self._child is None:
            return ""
        # The gateway itself drains for `drain_s`; the extra time is for its shutdown.
        return await self._child.stop(self._settings.drain_s + 10.0)

    async def kill(self) -> None:
        """End the gateway immediately."""
        if self._child is not None:
            await self._child.kill()

    async def is_live(self) -> bool:
        """Whether the gateway answers."""
        return await http.status_of(self._settings.layout.gateway_socket, "/health/live") == http.OK

    async def is_ready(self) -> bool:
        """Whether the gateway accepts requests: it answers, and its last check of Triton succeeded."""
        return await http.status_of(self._settings.layout.gateway_socket, "/health/ready") == http.OK

    async def revive(self, model: str) -> bool:
        """Report that the process of a model has ended; whether the gateway loads the model again."""
        answer = await http.post(self._settings.layout.gateway_socket, f"/models/{model}/ended", http.TIMEOUT_S)
        return answer is not None and answer[0] == http.ACCEPTED

    async def _wait_live(self, child: Child) -> None:
        ended = asyncio.ensure_future(child.wait())
        deadline = asyncio.get_running_loop().time() + _START_TIMEOUT_S
        try:
            while not await self.is_live():
                if ended.done():
                    # The gateway's error is the box's error: raise the same type, with the same exit status.
                    kind = with_exit_code(ended.result().status) or EngineError
                    raise kind(f"the gateway failed to start: {self._last_words()}", hint=f"see {self.log}")
                if asyncio.get_running_loop().time() > deadline:
                    raise UnavailableError(
                        f"the gateway did not answer within {_START_TIMEOUT_S:g} s", hint=f"see {self.log}"
                    )
                await asyncio.wait({ended}, timeout=_POLL_S)
        finally:
            ended.cancel()

    def _last_words(self) -> str:
        with self.log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").split("\n")
        spoken = [line.strip() for line in lines if line.strip()]
        return spoken[-1].removeprefix("error: ") if spoken else "it printed nothing"


def _words(model: ServedModelSettings) -> tuple[str, ...]:
    return f"--artefact={model.artefact}", f"--slots={model.engine.slots}", f"--memory={model.memory_bytes}"
