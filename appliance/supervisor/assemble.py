"""Builds the box from its settings, with Triton and the gateway as its two services, and serves until a signal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.address import Address
from appliance.artefact.manifest import Embedding, Reranking, Task
from appliance.auth.policy import Policy
from appliance.config import Config
from appliance.inference.config import EngineConfig
from appliance.inference.served import ServedModelSettings
from appliance.layout import Layout
from appliance.running_process import RunningProcess
from appliance.supervisor import state
from appliance.supervisor.choose import Artefact
from appliance.supervisor.engine_watch import EngineWatch
from appliance.supervisor.gateway import GatewayServer, GatewaySettings
from appliance.supervisor.state import ModelState, Phase, UpState
from appliance.supervisor.supervisor import Part, Say, Supervisor
from appliance.triton.locate import Installation
from appliance.triton.server import TritonServer, TritonSettings


@dataclass(frozen=True)
class BoxModel:
    """One model that the box serves.

    Attributes:
        artefact: what to serve.
        engine: the settings of its engine.
        operators: see `ModelState`.
        memory_bytes, on_demand: see `ServedModelSettings`.
    """

    artefact: Artefact
    engine: EngineConfig
    operators: str = ""
    memory_bytes: int = 0
    on_demand: bool = False

    @property
    def settings(self) -> ServedModelSettings:
        """The settings of this model for Triton and the gateway."""
        return ServedModelSettings(
            self.artefact.manifest.model,
            self.artefact.folder,
            self.engine,
            self.memory_bytes,
            self.on_demand,
            self.artefact.manifest.task_name,
            _dimensions(self.artefact.manifest.task),
        )

    @property
    def state(self) -> ModelState:
        """This model's entry in the state file."""
        manifest = self.artefact.manifest
        folder, digest = str(self.artefact.folder), self.artefact.sha256
        return ModelState(
            manifest.model, manifest.target, manifest.preset, folder, digest, self.operators, manifest.task_name
        )


@dataclass(frozen=True)
class BoxSettings:
    """The settings of one `up`. All addresses are free.

    Attributes:
        layout: the box's folders.
        config: its configuration.
        policy: access control, checked against the gateway's addresses.
        models: the models to serve.
        installation: the Triton to use.
        http, grpc, metrics: the gateway's addresses.
        triton_http: where the gateway serves Triton's own HTTP API; None switches it off.
        refuse_old_triton: do not start a Triton with known vulnerabilities.
    """

    layout: Layout
    config: Config
    policy: Policy
    models: tuple[BoxModel, ...]
    installation: Installation
    http: Address
    grpc: Address
    metrics: Address
    triton_http: Address | None = None
    refuse_old_triton: bool = False


async def serve(settings: BoxSettings, say: Say, ready: Callable[[UpState], None]) -> int:
    """Serve until a signal; returns the exit status. The caller holds the box's lock.

    Args:
        settings: see BoxSettings.
        say: receives each line for the person who runs `up`.
        ready: called once, when the box answers requests.

    Raises:
        ApplianceError: the box cannot be started; no process is left running.
    """
    gateway = GatewayServer(_gateway_settings(settings))
    triton = TritonServer(settings.installation, _triton_settings(settings), say, gateway.revive)
    own = RunningProcess.own()
    models = tuple(model.state for model in settings.models)
    names = [model.name for model in models]

    def describe() -> UpState:
        return UpState(
            phase=Phase.STARTING,
            supervisor=own,
            models=models,
            http=str(settings.http),
            grpc=str(settings.grpc),
            metrics=str(settings.metrics),
            tls=settings.policy.tls is not None,
            triton_http=str(settings.triton_http) if settings.triton_http else None,
            triton_version=str(triton.version) if triton.version else None,
            triton_origin=settings.installation.origin,
            triton_warning=triton.warning,
        )

    supervisor = Supervisor(
        settings.layout.run,
        describe,
        Part("Triton", triton, EngineWatch(settings.layout, names, lambda: triton.pid, say).is_alive),
        Part("the gateway", gateway, gateway.is_live, may_be_busy=True),
        gateway.is_ready,
        say,
    )
    return await supervisor.run(lambda: ready(state.read(settings.layout.run) or describe()))


def _dimensions(task: Task) -> int:
    """See `ServedModelSettings.dimensions`."""
    if isinstance(task, Reranking):
        return 1
    return task.dimensions if isinstance(task, Embedding) else 0


def _triton_settings(settings: BoxSettings) -> TritonSettings:
    return TritonSettings(
        models=tuple(model.settings for model in settings.models),
        root=settings.layout.root,
        repository=settings.layout.model_repository,
        run=settings.layout.run,
        sockets=settings.layout.triton_sockets,
        production=settings.refuse_old_triton,
        start_timeout_s=settings.config.serve.load_timeout_s,
        drain_s=settings.config.serve.drain_s,
    )


def _gateway_settings(settings: BoxSettings) -> GatewaySettings:
    return GatewaySettings(
        http=settings.http,
        grpc=settings.grpc,
        metrics=settings.metrics,
        triton_http=settings.triton_http,
        models=tuple(model.settings for model in settings.models),
        layout=settings.layout,
        config=settings.config.to_json("serve", "access", "limits", "principal_limits"),
        drain_s=settings.config.serve.drain_s,
    )
