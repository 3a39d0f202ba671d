"""`appliance route`: the command group; each command is a module in this folder."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("appliance.cli.route.list:command", "List all routes, with the model that answers now."),
    "remove": ("appliance.cli.route.remove:command", "Remove a route."),
    "set": ("appliance.cli.route.set:command", "Create a route, or change its models and their order."),
    "show": ("appliance.cli.route.show:command", "Show the models of a route and what each can do."),
}


@click.group("route", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Show and change routes: names behind which several models stand.

    A client asks for the route instead of a model. The first model of the route that works answers.
    """
