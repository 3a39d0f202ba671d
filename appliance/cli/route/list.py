"""`appliance route list`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, table
from appliance.cli.route.answering import NOT_RUNNING, answering, reasons
from appliance.site.routes import Routes


@click.command("list")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> None:
    """List all routes, with the model that answers now."""
    routes = Routes.load(box.layout.routes).routes
    now = {name: answering(models) for name, models in reasons(box).items()}
    if as_json:
        print_json(
            [{"name": name, "models": list(models), "answering": now.get(name)} for name, models in routes.items()]
        )
    elif not routes:
        click.echo("no routes; create one: appliance route set NAME MODEL OTHER_MODEL")
    else:
        table(
            ("NAME", "MODELS", "ANSWERS NOW"),
            [
                (name, ", ".join(models), (now[name] or "none") if name in now else NOT_RUNNING)
                for name, models in routes.items()
            ],
        )
