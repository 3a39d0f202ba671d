"""`appliance tensorrt`: the command group; each command is a module in this folder."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "build": ("appliance.cli.tensorrt.build:command", "Build a model's TensorRT plan for the GPU of this box."),
    "list": ("appliance.cli.tensorrt.list:command", "List the TensorRT plans that were built on this box."),
    "prune": (
        "appliance.cli.tensorrt.prune:command",
        "Remove old TensorRT plans; keep each model's current and previous one.",
    ),
    "show": ("appliance.cli.tensorrt.show:command", "Show how a model's TensorRT plan was built."),
}


@click.group("tensorrt", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Build, list and remove TensorRT plans.

    A TensorRT plan is the model, compiled for the GPU and driver of this box. The command `appliance plan` is something
    else: it predicts memory and throughput.
    """
