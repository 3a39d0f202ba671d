"""`appliance tensorrt show`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, table
from appliance.cli.tensorrt.shown import document, record_or_fault, state
from appliance.errors import IntegrityError, UnknownModelError
from appliance.sizes import size
from appliance.tensorrt.plan_store import PlanStore


@click.command("show")
@click.argument("model")
@json_option
@click.pass_obj
def command(box: Box, model: str, as_json: bool) -> None:
    """Show how a model's TensorRT plan was built.

    The command shows the current plan for each target and preset of the model: its source files, GPU, driver,
    TensorRT version and limits.
    """
    store = PlanStore(box.layout.engines)
    plans = [plan for plan in store.builds() if plan.parent.parent.name == model and store.is_current(plan)]
    if not plans:
        raise UnknownModelError(
            f"this box has no TensorRT plan for {model!r}",
            hint="list the plans: appliance tensorrt list; build one: appliance tensorrt build MODEL",
        )
    shown = []
    for plan in plans:
        record, fault = record_or_fault(plan)
        if record is None:
            raise IntegrityError(
                fault,
                hint=f"build the plan for {plan.parent.name} again: appliance tensorrt build {model}",
            )
        shown.append((plan, record))
    if as_json:
        print_json([document(store, plan, record) for plan, record in shown])
        return
    for plan, record in shown:
        key = record.key
        rows = [
            ("plan of", f"{record.model} ({record.target}-{record.preset})"),
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
