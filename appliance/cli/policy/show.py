"""`appliance policy show`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option
from appliance.cli.policy.options import print_policy
from appliance.site.policy import Policy


@click.command("show")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> None:
    """Show what the site refuses."""
    print_policy(Policy.load(box.layout.policy), as_json=as_json)
