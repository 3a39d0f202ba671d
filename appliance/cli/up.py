"""`appliance up`: serves models in the foreground until interrupted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

import click

from appliance.address import Address
from appliance.artefact.manifest import TENSORRT, Manifest, TextGeneration
from appliance.auth.policy import Policy
from appliance.cli.box import Box
from appliance.cli.output import tell
from appliance.config import ServeConfig
from appliance.errors import IntegrityError
from appliance.layout import Layout
from appliance.lock import in_use
from appliance.packed.served import served_graph
from appliance.supervisor import box_lock
from appliance.supervisor.assemble import BoxModel, BoxSettings, serve
from appliance.supervisor.choose import Artefact, choose_set
from appliance.supervisor.engine_settings import beside_text, check_profile, engine_settings
from appliance.supervisor.hardware import check_hardware
from appliance.supervisor.served_plan import build_plan, open_served
from appliance.supervisor.set_memory import check_set, memory_bytes
from appliance.supervisor.state import UpState
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PlanStore
from appliance.tensorrt.usual_profile import usual_profile
from appliance.triton.locate import locate

_TRITON_HTTP = "127.0.0.1:8000"


@click.command("up")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--target", help="Target of the export. Default: serve.target in appliance.toml.")
@click.option(
    "--preset", help="Preset of the export. Default: the only exported one, else the target's default preset."
)
@click.option("--http", metavar="HOST:PORT", help="Address of the HTTP API (OpenAI, Anthropic, Ollama, chat page).")
@click.option("--grpc", metavar="HOST:PORT", help="Address of the gRPC API.")
@click.option("--metrics", metavar="HOST:PORT", help="Address of the metrics for Prometheus; loopback only.")
@click.option(
    "--triton-http",
    metavar="HOST:PORT",
    is_flag=False,
    flag_value=_TRITON_HTTP,
    help=f"Also serve Triton's own HTTP API (generate_stream). Address if you give none: {_TRITON_HTTP}.",
)
@click.option("--production", is_flag=True, help="Refuse a Triton version with known vulnerabilities.")
@click.option("--allow-old-triton", is_flag=True, help="With --production: accept the risk of an old Triton version.")
@click.pass_obj
def command(
    box: Box,
    models: tuple[str, ...],
    target: str | None,
    preset: str | None,
    http: str | None,
    grpc: str | None,
    metrics: str | None,
    triton_http: str | None,
    production: bool,
    allow_old_triton: bool,
) -> int:
    """Serve one or several models until Ctrl-C.

    MODEL is the name of an exported model. Without names, the box serves the models of `[[serve.model]]` in
    appliance.toml, or the only exported model. After Ctrl-C, the box finishes the running requests and stops. A second
    Ctrl-C cancels them.
    """
    config = box.config.serve
    policy = Policy.from_config(box.config.access, box.layout)
    if config.is_proxied:
        policy.check_proxied()
    with box_lock.hold(box.layout.run) as is_stale, ExitStack() as held:
        if is_stale:
            tell("the previous run did not stop cleanly; the box cleans up and starts")
        artefacts = choose_set(box.layout, config, models, target, preset)
        for artefact in artefacts:
            held.enter_context(in_use(artefact.folder))
            check_hardware(artefact.manifest)
        for_tensorrt = [artefact.manifest for artefact in artefacts if artefact.manifest.runtime == TENSORRT]
        for manifest in for_tensorrt:
            check_profile(config.of(manifest.model), _profile(box.layout, manifest), manifest)
        for manifest in for_tensorrt:
            if status := build_plan(box.layout, manifest):
                return status
        chosen = _chosen(box.layout, config, artefacts, held)
        check_set({model.artefact.manifest.model: model.memory_bytes for model in chosen if not model.on_demand})
        settings = BoxSettings(
            layout=box.layout,
            config=box.config,
            policy=policy,
            models=chosen,
            installation=locate(os.environ),
            http=held.enter_context(_open_to(policy, http or config.http_address, "the OpenAI API")),
            grpc=held.enter_context(_open_to(policy, grpc or config.grpc_address, "the gRPC API")),
            metrics=held.enter_context(_loopback(metrics or config.metrics_address, "the metrics")),
            triton_http=(
                held.enter_context(_open_to(policy, triton_http, "Triton's HTTP API")) if triton_http else None
            ),
            refuse_old_triton=production and not allow_old_triton,
        )
        labels = ", ".join(model.artefact.label for model in chosen)
        tell(f"starting {labels} with Triton of {settings.installation.origin}")
        return asyncio.run(serve(settings, tell, lambda up: _ready(up, config)))


def _chosen(
    layout: Layout, config: ServeConfig, artefacts: Sequence[Artefact], held: ExitStack
) -> tuple[BoxModel, ...]:
    """The models with their settings. A damaged model of a set is left out, so that it does not stop the others.

    Raises:
        IntegrityError: all models are damaged.
    """
    chosen, damages = [], []
    has_text = any(isinstance(artefact.manifest.task, TextGeneration) for artefact in artefacts)
    for artefact in artefacts:
        try:
            model = _model_settings(layout, config, artefact, held)
            shares = has_text and not isinstance(artefact.manifest.task, TextGeneration)
            chosen.append(replace(model, engine=beside_text(model.engine)) if shares else model)
        except IntegrityError as error:  # noqa: PERF203 - a set has few models
            damages.append(error)
            tell(f"warning: {artefact.manifest.model} is damaged and is not served: {error}")
    if not chosen:
        raise damages[0]
    return tuple(chosen)


def _model_settings(layout: Layout, config: ServeConfig, artefact: Artefact, held: ExitStack) -> BoxModel:
    plan = None
    if artefact.manifest.runtime == TENSORRT:
        plan = open_served(layout, artefact.manifest)
        held.enter_context(in_use(plan.folder))
    graph = served_graph(layout, artefact.folder, artefact.manifest, tell)
    if graph.packed is not None:
        held.enter_context(in_use(graph.packed))
    manifest = artefact.manifest
    engine = engine_settings(config.of(manifest.model), plan, graph.packed)
    return BoxModel(
        artefact,
        engine,
        graph.operators,
        memory_bytes(manifest, artefact.folder, engine),
        on_demand=any(table.on_demand for table in config.model if table.name == manifest.model),
    )


def _profile(layout: Layout, manifest: Manifest) -> Profile:
    from appliance import targets  # noqa: PLC0415 - see check_hardware

    return usual_profile(PlanStore(layout.engines), manifest, targets.get(manifest.target).profile)


def _open_to(policy: Policy, text: str, purpose: str) -> AbstractContextManager[Address]:
    """The address with its port, which stays reserved while the gateway is started and restarted."""
    address = Address.from_text(text)
    policy.check(address)
    return address.reserved(purpose)


def _loopback(text: str, purpose: str) -> AbstractContextManager[Address]:
    """The same for an address that only this machine may reach."""
    return Address.from_text(text).check_loopback().reserved(purpose)


def _ready(up: UpState, config: ServeConfig) -> None:
    if up.triton_warning:
        tell(f"warning: {up.triton_warning}")
    for model in up.models:
        click.echo(f"serving {model.name} ({model.target}-{model.preset}, artefact {model.artefact_sha256[:12]})")
    click.echo(f"  OpenAI API    {up.url}/v1")
    click.echo(f"  gRPC API      {up.grpc}")
    click.echo(f"  in a browser  {up.url}/")
    click.echo(f"  metrics       http://{up.metrics}/metrics")
    if up.triton_http:
        click.echo(f"  Triton HTTP   {up.scheme}://{up.triton_http}/v2/models/{up.default_model.name}/generate_stream")
    click.echo('  talk to it    appliance chat "What is an inode?"')
    click.echo(f"  end it        Ctrl-C; running requests get {config.drain_s:g} s")
