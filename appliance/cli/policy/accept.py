"""`appliance policy accept`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option
from appliance.cli.policy.options import change, check_subjects, subject_options
from appliance.site.policy import Policy


@click.command("accept")
@subject_options
@json_option
@click.pass_obj
def command(
    box: Box, models: tuple[str, ...], makers: tuple[str, ...], licences: tuple[str, ...], as_json: bool
) -> None:
    """Accept models again that the site refuses.

    The options name what an earlier `appliance policy refuse` named.
    """
    check_subjects(models, makers, licences)
    policy = Policy.load(box.layout.policy).accepting(models, makers, licences)
    change(box, policy, as_json=as_json)
