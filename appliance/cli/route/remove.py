"""`appliance route remove`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.decide import decide
from appliance.cli.output import json_option, print_json
from appliance.site.routes import Routes


@click.command("remove")
@click.argument("name")
@json_option
@click.pass_obj
def command(box: Box, name: str, as_json: bool) -> None:
    """Remove a route. Its models stay; requests for the route then fail."""
    decide(box, Routes.load(box.layout.routes).without(name), box.layout.routes)
    if as_json:
        print_json({"removed": name})
    else:
        click.echo(f"{name} is removed")
