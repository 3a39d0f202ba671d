"""`appliance drill`: the command group; each command is a module in this folder."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "fallback": ("appliance.cli.drill.fallback:command", "Rehearse on the running box that a route falls back."),
}


@click.group("drill", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Rehearse failures on the running box."""
