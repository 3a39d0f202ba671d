"""`appliance engine prune`."""

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
    """Remove engines that are neither current nor the one before, nor served."""
    store = PlanStore(box.layout.engines)
    with store.changing(lambda: tell("waiting until another build has finished")):
        removed, freed = store.prune()
    if as_json:
        print_json({"removed": [str(plan) for plan in removed], "freed_bytes": freed})
    else:
        click.echo(f"removed {len(removed)} engines, {size(freed)}")
