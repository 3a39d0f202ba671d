"""`appliance tensorrt list`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, table
from appliance.cli.tensorrt.shown import document, record_or_fault, state
from appliance.sizes import size
from appliance.tensorrt.plan_store import PlanStore


@click.command("list")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> None:
    """List the TensorRT plans that were built on this box.

    This command does not check whether a plan still fits the GPU, the driver and the TensorRT version. `appliance
    up` checks this and builds a new plan if necessary.
    """
    store = PlanStore(box.layout.engines)
    found = [(plan, *record_or_fault(plan)) for plan in store.builds()]
    if as_json:
        print_json(
            [
                document(store, plan, record)
                if record
                else {"folder": str(plan), "state": state(store, plan), "fault": fault}
                for plan, record, fault in found
            ]
        )
        return
    if not found:
        click.echo("this box has no TensorRT plan; build one with appliance tensorrt build MODEL, or with appliance up")
        return
    table(
        ("MODEL", "FOR", "STATE", "SERVES", "SIZE", "BUILT WITH"),
        [
            (
                plan.parent.parent.name,
                plan.parent.name,
                state(store, plan),
                str(record.key.profile) if record else fault,
                size(record.size_bytes) if record else "",
                f"{record.key.flavour} {record.key.version}" if record else "",
            )
            for plan, record, fault in found
        ],
    )
