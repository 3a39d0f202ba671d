"""`appliance policy`: the command group; each command is a module in this folder."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "accept": ("appliance.cli.policy.accept:command", "Accept models again that the site refuses."),
    "refuse": ("appliance.cli.policy.refuse:command", "Refuse models by name, maker or licence."),
    "show": ("appliance.cli.policy.show:command", "Show what the site refuses."),
}


@click.group("policy", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Show and change which models the site accepts.

    The box answers no request with a model that the site refuses. A route continues with its next model.
    """
