"""`appliance engine show`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.engine.shown import document, record_or_fault, state
from appliance.cli.output import json_option, print_json, table
from appliance.errors import IntegrityError, UnknownModelError
from appliance.sizes import size
from appliance.tensorrt.plan_store import PlanStore


@click.command("show")
@click.argument("model")
@json_option
@click.pass_obj
def command(box: Box, model: str, as_json: bool) -> None:
    """Show how a model's TensorRT engine was built.

    The command shows the current engine for each target and preset of the model: its source files, GPU, driver,
    TensorRT version and limits.
    """
    store = PlanStore(box.layout.engines)
    plans = [plan for plan in store.plans() if plan.parent.parent.name == model and store.is_current(plan)]
    if not plans:
        raise UnknownModelError(
            f"this box has no TensorRT engine for {model!r}",
            hint="list the engines: appliance engine list; build one: appliance engine build MODEL",
        )
    shown = []
    for plan in plans:
        record, fault = record_or_fault(plan)
        if record is None:
            raise IntegrityError(
                fault,
                hint=f"build the engine for {plan.parent.name} again: appliance engine build {model}",
            )
        shown.append((plan, record))
    if as_json:
        print_json([document(store, plan, record) for plan, record in shown])
        return
    for plan, record in shown:
        key = record.key
        rows = [
            ("engine of", f"{record.model} ({record.target}-{record.preset})"),
            ("state", state(store, plan)),
            ("serves", str(key.profile)),
            ("built on", f"{record.gpu} {record.gpu_uuid}, compute capability {key.compute_capability}"),
            ("built with", f"{key.flavour} {key.version}, driver {key.driver}, {', '.join(key.flags)}"),
            ("built at", f"{record.built_at:%Y-%m-%d %H:%M} UTC, in {record.seconds:.1f} s"),
            ("peak memory", size(record.peak_bytes)),
            ("size", size(record.size_bytes)),
            ("sha256", record.sha256),
            *((f"from {name}", digest) for name, digest in sorted(key.graph.items())),
            *((f"smoke test, {name}", f"{value:g}") for name, value in sorted(record.smoke.items())),
            ("folder", str(plan)),
        ]
        table(None, rows)
