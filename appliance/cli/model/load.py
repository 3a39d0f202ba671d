"""`appliance model load`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.model.completion import served_names
from appliance.cli.model.order import order
from appliance.cli.output import json_option, print_json


@click.command("load")
@click.argument("name", shell_complete=served_names)
@json_option
@click.pass_obj
def command(box: Box, name: str, as_json: bool) -> None:
    """Load a model of the running box.

    The command returns when the model is loaded. If memory is short, the box first unloads idle models that are loaded
    on demand. NAME is a model that `appliance up` serves.
    """
    found = order(box, "load", name)
    if as_json:
        print_json({"model": name, "state": found})
    else:
        click.echo(f"{name} is {found}")
