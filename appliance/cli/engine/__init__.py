"""`appliance engine`: the noun; each verb is a module beside this one."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "build": ("appliance.cli.engine.build:command", "Build the engine of a model for the GPU of this box."),
    "list": ("appliance.cli.engine.list:command", "List the engines that were built on this box."),
    "prune": ("appliance.cli.engine.prune:command", "Remove engines that are neither current nor the one before."),
    "show": ("appliance.cli.engine.show:command", "Show what a model's engine was built from, and how."),
}


@click.group("engine", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """TensorRT engines of this box."""
