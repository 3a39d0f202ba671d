"""Puts a box together: from a plan to its two services, and serves until told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.config import Config
from appliance.inference.config import EngineConfig
from appliance.layout import Layout
from appliance.running_process import RunningProcess
from appliance.supervisor import state
from appliance.supervisor.choose import Artefact
from appliance.supervisor.engine_settings import engine_settings
from appliance.supervisor.gateway import GatewayServer, GatewaySettings
from appliance.supervisor.served_plan import ServedPlan
from appliance.supervisor.state import Phase, UpState
from appliance.supervisor.status import is_engine_alive
from appliance.supervisor.supervisor import Part, Say, Supervisor
from appliance.triton.locate import Installation
from appliance.triton.server import TritonServer, TritonSettings


@dataclass(frozen=True)
class Plan:
    """What `up` was asked for, every address free.

    Attributes:
        layout: the box's folders.
        config: its configuration.
        policy: who is let in, checked against the gateway's addresses.
        artefact: what to serve.
        installation: the Triton to use.
        http, grpc, metrics: the gateway's addresses.
        triton_http: where the gateway serves Triton's own HTTP; None leaves it off.
        refuse_old_triton: a Triton with known security holes is not started.
        tensorrt: the plan of TensorRT that computes the artefact; None where it needs none.
    """

    layout: Layout
    config: Config
    policy: Policy
    artefact: Artefact
    installation: Installation
    http: Address
    grpc: Address
    metrics: Address
    triton_http: Address | None = None
    refuse_old_triton: bool = False
    tensorrt: ServedPlan | None = None

    @property
    def engine(self) -> EngineConfig:
        """The engine's settings."""
        return engine_settings(self.config.serve, self.tensorrt)


async def serve(plan: Plan, say: Say, ready: Callable[[UpState], None]) -> int:
    """Serve until a signal; returns the exit status. The caller holds the box's lock.

    Args:
        plan: see Plan.
        say: gets each line that a person should read while the box runs.
        ready: called once, when the box answers.

    Raises:
        ApplianceError: it cannot be started; nothing runs then.
    """
    triton = TritonServer(plan.installation, _triton_settings(plan), say)
    gateway = GatewayServer(_gateway_settings(plan))
    own = RunningProcess.own()

    def describe() -> UpState:
        manifest = plan.artefact.manifest
        return UpState(
            phase=Phase.STARTING,
            supervisor=own,
            model=manifest.model,
            target=manifest.target,
            preset=manifest.preset,
            artefact=str(plan.artefact.folder),
            artefact_sha256=plan.artefact.sha256,
            http=str(plan.http),
            grpc=str(plan.grpc),
            metrics=str(plan.metrics),
            tls=plan.policy.tls is not None,
            triton_http=str(plan.triton_http) if plan.triton_http else None,
            triton_version=str(triton.version) if triton.version else None,
            triton_origin=plan.installation.origin,
            triton_warning=triton.warning,
        )

    supervisor = Supervisor(
        plan.layout.run,
        describe,
        Part("Triton", triton, lambda: is_engine_alive(plan.layout)),
        Part("the gateway", gateway, gateway.is_live, may_be_busy=True),
        gateway.is_ready,
        say,
    )
    return await supervisor.run(lambda: ready(state.read(plan.layout.run) or describe()))


def _triton_settings(plan: Plan) -> TritonSettings:
    return TritonSettings(
        model=plan.artefact.manifest.model,
        artefact=plan.artefact.folder,
        root=plan.layout.root,
        repository=plan.layout.model_repository,
        run=plan.layout.run,
        sockets=plan.layout.triton_sockets,
        engine=plan.engine,
        production=plan.refuse_old_triton,
        drain_s=plan.config.serve.drain_s,
    )


def _gateway_settings(plan: Plan) -> GatewaySettings:
    return GatewaySettings(
        http=plan.http,
        grpc=plan.grpc,
        metrics=plan.metrics,
        triton_http=plan.triton_http,
        artefact=plan.artefact.folder,
        layout=plan.layout,
        config=plan.config.to_json("access", "limits", "principal_limits"),
        drain_s=plan.config.serve.drain_s,
        slots=plan.engine.slots,
    )
