"""`appliance policy refuse`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option
from appliance.cli.policy.options import change, check_subjects, subject_options
from appliance.site.policy import Policy


@click.command("refuse")
@subject_options
@json_option
@click.pass_obj
def command(
    box: Box, models: tuple[str, ...], makers: tuple[str, ...], licences: tuple[str, ...], as_json: bool
) -> None:
    """Refuse models by name, maker or licence.

    A running box refuses new requests for these models at once. Running answers finish. The models stay installed.
    """
    check_subjects(models, makers, licences)
    policy = Policy.load(box.layout.policy).refusing(models, makers, licences)
    change(box, policy, as_json=as_json)
