"""`appliance model remove`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.model.completion import installed_names
from appliance.cli.output import json_option, print_json
from appliance.sizes import size
from appliance.store import remove


@click.command("remove")
@click.argument("name", shell_complete=installed_names)
@json_option
@click.pass_obj
def command(box: Box, name: str, as_json: bool) -> None:
    """Remove an installed model.

    The command keeps files that another model also uses. It keeps all exports of the model too: you can still serve
    them.
    """
    freed_bytes = remove(box.layout, name)
    if as_json:
        print_json({"name": name, "freed_bytes": freed_bytes})
    else:
        click.echo(f"removed {name}, {size(freed_bytes)} freed")
