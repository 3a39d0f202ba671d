"""`appliance engine`: the noun; each verb is a module beside this one."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "build": ("appliance.cli.engine.build:command", "Build a model's TensorRT engine for the GPU of this box."),
    "list": ("appliance.cli.engine.list:command", "List the TensorRT engines that were built on this box."),
    "prune": (
        "appliance.cli.engine.prune:command",
        "Remove old TensorRT engines; keep each model's current and previous one.",
    ),
    "show": ("appliance.cli.engine.show:command", "Show how a model's TensorRT engine was built."),
}


@click.group("engine", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Build, list and remove TensorRT engines."""
