"""`appliance model unload`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.model.completion import served_names
from appliance.cli.model.order import order
from appliance.cli.output import json_option, print_json


@click.command("unload")
@click.argument("name", shell_complete=served_names)
@json_option
@click.pass_obj
def command(box: Box, name: str, as_json: bool) -> None:
    """Unload a model of the running box.

    The model's running requests finish first. A model with `on_demand` is loaded again when a request needs it; other
    models stay unloaded until `appliance model load`. NAME is a model that `appliance up` serves.
    """
    found = order(box, "unload", name)
    if as_json:
        print_json({"model": name, "state": found})
    else:
        click.echo(f"{name} is {found}")
