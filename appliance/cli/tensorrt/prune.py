"""`appliance tensorrt prune`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, tell
from appliance.sizes import size
from appliance.tensorrt.plan_store import PlanStore


@click.command("prune")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> None:
    """Remove old TensorRT plans; keep each model's current and previous one, and any that is served."""
    store = PlanStore(box.layout.engines)
    with store.changing(lambda: tell("waiting until another build has finished")):
        removed, freed = store.prune()
    if as_json:
        print_json({"removed": [str(plan) for plan in removed], "freed_bytes": freed})
    else:
        click.echo(f"removed {len(removed)} plans, {size(freed)}")
